"""Names the files in each directory that is published whole.

A directory that holds anything else is not replaced: `publishing.published`.
Paths are relative to it. Files of an earlier version are replaced, too, so a
name that is no longer written stays here.
"""

import pathlib
import re

from pipeline.data import splits
from pipeline.results.layout import Layout

_SPLIT = "|".join(splits.SPLITS)
DATA = re.compile(
    r"manifest\.json|rejected\.jsonl|duplicates\.jsonl|"
    # With a hash of the content; without it a name may be anybody's.
    rf"({_SPLIT})-\d{{5,}}-of-\d{{5,}}-[0-9a-f]{{12}}\.tfrecord"
)
QAT_MODEL = re.compile(
    r"saved_model\.pb|fingerprint\.pb|keras_metadata\.pb|predictions\.npz|"
    r"int8\.tflite|"
    r"variables/variables\.(index|data-\d{5}-of-\d{5})"
)
TFLITE = re.compile(r"model\.tflite|predictions\.npz")
BUNDLE = re.compile(
    r"manifest\.json|labels\.txt|bundle\.zip|calibration\.npy|"
    r"(exit|segment)_\d+\.tflite"
)
BENCHMARK = re.compile(
    r"benchmark\.(csv|json)|costs\.json|exit_\d+_alone\.tflite|float\.(tflite|onnx)"
)
# Of `training/features`, which is published whole but is no stage's result.
FEATURES = re.compile(r"key\.txt|(train|validation)_\d+\.npy")
COMPARISON = re.compile(r"index\.html|comparison\.(csv|svg)")

# By the attributes of `Layout`: what stages publish that is a directory.
OF_STAGES = {
    "data": DATA,
    "qat_model": QAT_MODEL,
    "tflite": TFLITE,
    "bundle": BUNDLE,
    "benchmark": BENCHMARK,
}
_LAYOUT = Layout(pathlib.Path())
# All of a working directory: a sweep removes whole ones.
WORKING_DIRECTORY = re.compile(
    "|".join(
        [
            *(
                rf"{re.escape(str(getattr(_LAYOUT, made)))}/({files.pattern})"
                for made, files in OF_STAGES.items()
            ),
            r"data",  # A link to shared data.
            r"\.lock|config\.json|metrics\.json|(exits|curves)\.csv",
            r"model/float\.keras|model/float_predictions\.npz",
            r"training/(state|quantize|best|best_\d+)\.npz",
            rf"training/features/({FEATURES.pattern})",
            # Without a directory: of an earlier version.
            r"logs/([a-z]+/)?events\.out\.tfevents\.[^/]+",
            r"report/index\.html|(results|stages)/[a-z]+\.json",
            r"([^/]+/)*\.[^/]+\.partial/.*",  # Of a stage that was killed.
        ]
    ),
    re.DOTALL,
)
