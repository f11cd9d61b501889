#!/usr/bin/env bash
# Installs what the cluster needs and is not there yet: Java 17 and Maven (with
# apt-get, as root), Flink (Python packages, into .flink/) and Beam's job server
# (with Maven, into .flink/). Each is checked: apt-get by its signatures, the
# others by requirements.txt and sha256, where a new version must be entered.
source "$(dirname "$0")/settings.sh"

java_is_17() { java -version 2>&1 | grep -q 'version "17\.'; }

with_apt() {
  command -v apt-get >/dev/null ||
    fail "needs $2, and there is no apt-get. Install $2 and run this again."
  [ "$(id -u)" = 0 ] ||
    fail "needs $2, and only root can install it: apt-get install $1"
  say "installs $2: apt-get install $1"
  apt-get install -qq -y --no-install-recommends "$1" >/dev/null ||
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$1" >/dev/null; } ||
    fail "could not install $2. Install $1 and run this again."
}

install_flink() {
  say "installs Flink $FLINK_VERSION from its Python packages into .flink/ (260 MB)"
  local partial="$ROOT/partial"
  rm -rf "$partial"
  # Without its dependencies: they hold an old Beam, and only the jars and the
  # shell scripts are used. Without isolation, as pip would fetch what builds
  # them unchecked.
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps \
    --no-build-isolation --require-hashes --target "$partial" \
    -r "$SOURCE/requirements.txt" ||
    fail "could not install deploy/flink/requirements.txt with pip"
  mv "$partial" "$ROOT/flink-$FLINK_VERSION"
}

install_job_server() {
  say "fetches Beam's job server with Maven into .flink/ (152 MB)"
  bash "$REPOSITORY/deploy/maven/fetch.sh" "$SOURCE" "$JOB_SERVER" \
    >"$ROOT/log/fetch.log" 2>&1 ||
    fail "could not fetch the job server; .flink/log/fetch.log says why"
}

mkdir -p "$ROOT/log"
java_is_17 || with_apt openjdk-17-jre-headless "Java 17"
[ -d "$FLINK_HOME" ] || install_flink
if [ ! "$JOB_SERVER" -nt "$SOURCE/sha256" ]; then
  command -v mvn >/dev/null || with_apt maven Maven
  install_job_server
fi
