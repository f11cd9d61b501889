#!/usr/bin/env bash
# Compiles the Kotlin classes with the Kotlin compiler and TensorFlow Lite's
# classes, which Maven fetches into .android/; the file sha256 has their
# checksums. Then compares the pixels of PhotoFit.kt with those of Python. Needs
# Java 17 and Maven.
set -euo pipefail
cd "$(dirname "$0")/../.."
ROOT=.android

for tool in java mvn; do
  command -v "$tool" >/dev/null ||
    { echo "android: error: needs $tool: apt-get install maven" >&2 && exit 1; }
done
mkdir -p "$ROOT"
echo '*' >"$ROOT/.gitignore"
if [ ! "$ROOT/jars" -nt examples/android/sha256 ]; then
  rm -rf "$ROOT/jars"
  bash deploy/maven/fetch.sh examples/android "$ROOT/partial"
  # An .aar holds the classes that an app compiles against as classes.jar.
  for archive in "$ROOT"/partial/*.aar; do
    .venv/bin/python -m zipfile -e "$archive" "$ROOT/partial/aar"
    mv "$ROOT/partial/aar/classes.jar" "${archive%.aar}.jar"
    rm -r "$ROOT/partial/aar" "$archive"
  done
  mv "$ROOT/partial" "$ROOT/jars"
fi
java -cp "$ROOT/jars/*" org.jetbrains.kotlin.cli.jvm.K2JVMCompiler \
  -no-stdlib -no-reflect -Werror -jvm-target 1.8 \
  -cp "$(echo "$ROOT"/jars/*.jar | tr ' ' :)" \
  -d "$ROOT/classes" examples/android/*.kt tests/android/*.kt
echo "android: the Kotlin classes compile"
PYTHONPATH="$PWD" .venv/bin/python tests/android/photo_fit.py "$ROOT/classes:$ROOT/jars/*"
