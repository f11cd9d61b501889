"""Names the version of the code of each stage.

A version is raised with a change that gives another result of the same inputs;
otherwise old results pass for new ones. `tests/pipeline/stage_versions_test.py`
notices a result that changed while its version did not.
"""

VERSIONS = {
    "prepare": 3,
    "train": 1,
    "evaluate": 1,
    "quantize": 1,
    "convert": 4,
    "check": 2,
    "benchmark": 2,
    "report": 3,
}
