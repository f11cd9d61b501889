#!/usr/bin/env bash
# Compiles the Kotlin classes and the sample app with the Kotlin compiler, Android's
# and TensorFlow Lite's classes, which Maven fetches into .android/; the file sha256
# has their checksums. LiteRT 2's artifact is in Google's repository alone and is not fetched:
# tests/android/standin stands in for it. Then compares, on the JVM, the pixels of
# PhotoFit.kt and the answers of EarlyExitClassifier.kt with those of Python, and
# checks what the app computes. Needs
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
  rm -rf "$ROOT/platform"
  mkdir "$ROOT/platform"
  mv "$ROOT"/partial/android-all-*.jar "$ROOT/platform"
  mv "$ROOT/partial" "$ROOT/jars"
fi

# compile OUTPUT CLASSPATH FILE...: Android has no java.lang here; that is Java 17's.
compile() {
  java -cp "$ROOT/jars/*" org.jetbrains.kotlin.cli.jvm.K2JVMCompiler \
    -no-stdlib -no-reflect -Werror -jvm-target 1.8 \
    -cp "$(echo "$ROOT"/platform/*.jar "$ROOT"/jars/*.jar | tr ' ' :):$2" \
    -d "$1" "${@:3}"
}
rm -rf "$ROOT/classes" "$ROOT/standin"
compile "$ROOT/standin" "" tests/android/standin/*.kt
compile "$ROOT/classes" "$ROOT/standin" examples/android/*.kt \
  examples/android_app/src/main/kotlin/*.kt tests/android/*.kt
echo "android: classes and app compile: against Android 6, TensorFlow Lite's" \
  "Interpreter, and a stand-in for LiteRT's CompiledModel, not LiteRT"
classpath="$ROOT/classes:$ROOT/standin:$ROOT/jars/*"
java -cp "$classpath" CameraAppKt
PYTHONPATH="$PWD" .venv/bin/python tests/android/photo_fit.py "$classpath"
PYTHONPATH="$PWD" TF_CPP_MIN_LOG_LEVEL=3 .venv/bin/python tests/android/classifier.py "$classpath"
