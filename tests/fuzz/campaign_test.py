import collections
import json
import pathlib
import subprocess
import sys

CAMPAIGN = pathlib.Path(__file__).with_name("campaign.py")


def run(tmp_path, code: str, *arguments) -> dict:
    """Runs the campaign after some code; returns what it found."""
    output = tmp_path / "campaign.json"
    arguments = [str(CAMPAIGN), str(output), *map(str, arguments)]
    done = subprocess.run(
        [sys.executable, "-c", START + code + END, *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode in (0, 1), done.stdout
    return json.loads(output.read_text()) | {"status": done.returncode}


START = """
import os, pathlib, signal, sys, time
del sys.argv[0]
sys.path.insert(0, str(pathlib.Path(sys.argv[0]).parent))
import campaign
"""
END = """
sys.exit(campaign.main())
"""


def test_a_short_campaign_finds_nothing(tmp_path):
    found = run(tmp_path, "", "--cases=300", "--seed=0", "--jobs=2")
    assert found["status"] == 0, found["bad"]
    assert sum(found["outcomes"].values()) == 300
    assert set(found["outcomes"]) == {"refused", "correct", "different"}
    assert len(found["kinds"]) > 15


def test_the_verbs_find_nothing_either(tmp_path):
    found = run(tmp_path, QUICK, "--verbs", "--cases=60", "--jobs=2")
    assert found["status"] == 0, found["bad"]
    assert sum(found["outcomes"].values()) == 60
    verbs = {kind.split(":")[0] for kind in found["kinds"]}
    assert verbs == {"classify", "inspect", "policy"}


# The verbs that take a second or more are left to the long campaign.
QUICK = """
import verbs
verbs.VERBS = ("classify", "inspect", "policy")
verbs.draw = lambda number, seed: verbs.VERBS[number % 3]
"""

# What cases 0, 1, ... do instead of what they would, and what is seen.
DEEDS = (
    ("os.kill(os.getpid(), signal.SIGSEGV)", "crash"),
    ("os.kill(os.getpid(), signal.SIGABRT)", "crash"),
    ("os._exit(3)", "crash"),
    ("signal.alarm(1), time.sleep(60)", "hang"),
    ("bytearray(b'x') * (3 * 2**29)", "memory"),
    ("{}['no such key']", "unclear"),
    ("int('not ours')", "unclear"),
    ("throw(ValueError('`x` must be 1. Received: 2'))", "refused"),
    ("'another result'", "different"),
)
INSTEAD = f"""
def throw(error):
    raise error

deeds = [{", ".join(f"lambda: ({deed})" for deed, _ in DEEDS)}]
pristine = campaign.results

def results(files, directory):
    if "fuzzed" not in directory:
        return pristine(files, directory)
    return deeds[int(pathlib.Path(directory).parent.name)]()

campaign.results = results
campaign.cases._KINDS = {{
    kind: (make, True) for kind, (make, _) in campaign.cases._KINDS.items()
}}
"""


def test_what_must_not_be_is_seen(tmp_path):
    found = run(tmp_path, INSTEAD, f"--cases={len(DEEDS)}")
    assert found["status"] == 1
    outcomes = [outcome for _, outcome in DEEDS]
    assert found["outcomes"] == dict(collections.Counter(outcomes))
    assert [(number, seen) for number, _, seen, _ in found["bad"]] == [
        (number, outcome)
        for number, outcome in enumerate(outcomes)
        if outcome not in ("refused", "different")
    ]


def test_other_results_can_be_wrong(tmp_path):
    code = """
pristine = campaign.results
campaign.results = lambda files, directory: (
    len(directory) if "fuzzed" in directory else pristine(files, directory)
)
campaign.cases._BUNDLE_KINDS = campaign.cases._MODEL_KINDS = ["links"]
campaign.cases._KINDS["links"] = (lambda *_: {}, False)
"""
    found = run(tmp_path, code, "--cases=3")
    assert found["outcomes"] == {"wrong": 3}


def test_a_case_is_always_the_same(tmp_path):
    first = run(tmp_path, "", "--cases=30", "--seed=3")
    again = run(tmp_path, "", "--cases=30", "--seed=3", "--jobs=4")
    for name in ("outcomes", "kinds", "refused_by"):
        assert first[name] == again[name]


def test_a_campaign_goes_on_where_it_was_ended(tmp_path):
    run(tmp_path, "", "--cases=10", "--seed=3")
    resumed = run(tmp_path, "", "--cases=20", "--seed=3", "--resume")
    whole = run(tmp_path, "", "--cases=20", "--seed=3")
    for name in ("cases", "outcomes", "kinds", "refused_by"):
        assert resumed[name] == whole[name]
