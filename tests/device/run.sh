#!/usr/bin/env bash
# Builds the wheel, installs it with the extra `images` in a new environment, and
# runs there the tests of what a device runs:
#
#   bash tests/device/run.sh python3.12
#
# What needs TensorFlow or Keras is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PYTHON="${1:-python3.11}"
VERSION="$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
ENVIRONMENT="$PWD/.device/$VERSION"
BIN="$ENVIRONMENT/bin"
PIP=("$BIN/python" -m pip --quiet --disable-pip-version-check)

rm -rf "$ENVIRONMENT" build/lib
"$PYTHON" -m venv "$ENVIRONMENT"
"${PIP[@]}" install --require-hashes -r requirements/device.lock
"${PIP[@]}" wheel --no-deps --wheel-dir "$ENVIRONMENT/wheel" .
"${PIP[@]}" install "$(echo "$ENVIRONMENT"/wheel/*.whl)[images]"
"${PIP[@]}" check

# The wheel comes first, and the clone has the tests.
echo "$PWD" >"$("$BIN/python" -c \
  'import sysconfig; print(sysconfig.get_path("purelib"))')/clone.pth"
export PYTHONSAFEPATH=1
unset PYTHONPATH
"$BIN/python" - "$ENVIRONMENT" <<'EOF'
import sys

import keras_dynamic
import tflite

for package in (keras_dynamic, tflite):
    if not package.__file__.startswith(sys.argv[1]):
        sys.exit(f"not of the wheel: {package.__file__}")
EOF
"$BIN/keras-dynamic" --help >/dev/null
"$BIN/pytest" -q -o pythonpath= -p no:cacheprovider \
  tests/tflite/{format,bundle,runtime,timing,cutting} tests/tflite/*_test.py \
  tests/keras_dynamic/exits
