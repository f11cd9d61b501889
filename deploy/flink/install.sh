#!/usr/bin/env bash
# Installs what the cluster needs and is not there yet: Java 17 and Maven (with
# apt-get, as root), Flink (Python packages, into .flink/) and Beam's job server
# (with Maven, into .flink/).
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
  # shell scripts are used.
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps \
    --target "$partial" \
    "apache-flink==$FLINK_VERSION" "apache-flink-libraries==$FLINK_VERSION" ||
    fail "could not install apache-flink==$FLINK_VERSION with pip"
  mv "$partial" "$ROOT/flink-$FLINK_VERSION"
}

install_job_server() {
  local beam name build="$ROOT/build"
  beam="$("$PYTHON" -c 'from importlib import metadata; print(metadata.version("apache-beam"))')"
  name="beam-runners-flink-$FLINK_MINOR-job-server"
  rm -rf "$build"
  if mvn -B -q dependency:copy -Dartifact="org.apache.beam:$name:$beam" \
    -Dmdep.stripVersion=true -DoutputDirectory="$build" >"$ROOT/log/mvn.log" 2>&1; then
    say "installs Beam's job server: $name $beam"
    mv "$build/$name.jar" "$JOB_SERVER"
  else
    say "the registry has no $name $beam; assembles it from deploy/flink/pom.xml (minutes)"
    mvn -B -q -f "$SOURCE/pom.xml" -Doutput.directory="$build" package >>"$ROOT/log/mvn.log" 2>&1 ||
      fail "Maven could not assemble the job server; .flink/log/mvn.log says why"
    mv "$build/job-server.jar" "$JOB_SERVER"
  fi
  rm -rf "$build"
}

mkdir -p "$ROOT/log"
java_is_17 || with_apt openjdk-17-jre-headless "Java 17"
[ -d "$FLINK_HOME" ] || install_flink
if [ ! "$JOB_SERVER" -nt "$SOURCE/pom.xml" ]; then
  command -v mvn >/dev/null || with_apt maven Maven
  install_job_server
fi
