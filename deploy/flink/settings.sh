# Versions and places of the Flink cluster; the other scripts read this.
set -euo pipefail

REPOSITORY="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
SOURCE="$REPOSITORY/deploy/flink"
PYTHON="$REPOSITORY/.venv/bin/python"

# Of the Flink versions that Beam 2.77 names, the one whose runner could be
# assembled (docs/flink.md, "Version skew"). pom.xml names the minor version too.
FLINK_VERSION=1.19.3
FLINK_MINOR="${FLINK_VERSION%.*}"

# All that the cluster installs and writes is here.
ROOT="$REPOSITORY/.flink"
JOB_SERVER="$ROOT/job-server"
BEAM_OPTIONS="$ROOT/beam-options"
JOB_PORT=8099
ARTIFACT_PORT=8098

export FLINK_HOME="$ROOT/flink-$FLINK_VERSION/pyflink"
export FLINK_CONF_DIR="$ROOT/conf"
export FLINK_LOG_DIR="$ROOT/log"
export FLINK_PID_DIR="$ROOT/pid"
export FLINK_IDENT_STRING=keras-dynamic

JOB_MANAGER_PID="$FLINK_PID_DIR/flink-keras-dynamic-standalonesession.pid"
TASK_MANAGER_PID="$FLINK_PID_DIR/flink-keras-dynamic-taskexecutor.pid"
JOB_SERVER_PID="$FLINK_PID_DIR/job-server.pid"

if [ -d /usr/lib/jvm ]; then
  for home in /usr/lib/jvm/java-17-openjdk*; do
    if [ -x "$home/bin/java" ]; then
      export JAVA_HOME="$home" PATH="$home/bin:$PATH"
      break
    fi
  done
fi

say() { echo "flink: $*"; }

fail() {
  echo "flink: error: $*" >&2
  exit 1
}

# Whether the process of a pid file lives and is ours: a pid may be used again.
lives() {
  local pid
  pid="$(tail -n 1 "$1" 2>/dev/null)" || return 1
  [ -n "$pid" ] && grep -qsaF "$ROOT" "/proc/$pid/cmdline"
}
