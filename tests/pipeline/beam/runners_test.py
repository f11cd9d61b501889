import apache_beam as beam
import pytest

from pipeline.beam import runners


class Ends:
    """A runner's answer; no runner here fails in the ways of remote ones."""

    def __init__(self, answer):
        self.answer = answer
        self.runner = None
        self.options = runners.options([])

    def run(self):
        return self

    def wait_until_finish(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


PAGES = """
Pipeline BeamApp failed in state FAILED: java.lang.RuntimeException: x
Traceback (most recent call last):
  File "worker.py", line 3, in process
ValueError: the image is not one
\tat org.apache.beam.runners.Something(Some.java:1)
"""


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (RuntimeError(PAGES), "ValueError: the image is not one"),
        (RuntimeError("gone"), "gone"),
        (RuntimeError(""), "no reason"),
        ("FAILED", "state FAILED"),
        ("CANCELLED", "state CANCELLED"),
    ],
)
def test_a_failure_is_one_line(answer, message):
    with pytest.raises(runners.PipelineFailed, match=message) as error:
        runners.wait(Ends(answer))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("state", ["DONE", None])
def test_success(state):
    assert runners.wait(Ends(state)) is None


def test_errors_of_the_local_runner_keep_their_type():
    def fail(element):
        raise KeyError(element)

    pipeline = beam.Pipeline(options=runners.options([]))
    _ = pipeline | beam.Create(["x"]) | beam.Map(fail)
    with pytest.raises(KeyError):
        runners.wait(pipeline)


def test_options_after_the_default_win():
    options = runners.options(["--runner=FlinkRunner", "--parallelism=2"])
    assert options.get_all_options()["runner"] == "FlinkRunner"


def test_a_notebook_leaves_labels_as_they_are(monkeypatch):
    def alter(transform, pvalueish):
        raise ImportError("pandas")

    monkeypatch.setattr(beam.pipeline, "alter_label_if_ipython", alter)
    steps = beam.Pipeline()
    with runners.plain_labels():
        _ = steps | "Numbers" >> beam.Create([1])
    assert "Numbers" in steps.applied_labels
    assert beam.pipeline.alter_label_if_ipython is alter
