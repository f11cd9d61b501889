#!/usr/bin/env bash
# Starts what does not run yet: job manager, task manager with two slots, Beam's
# job server. Returns when all three answer; writes .flink/beam-options.
source "$(dirname "$0")/settings.sh"
bash "$SOURCE/install.sh"
source "$SOURCE/settings.sh" # Java may be new.

REST=http://localhost:8081

# `slots N`: whether the job manager answers and has N slots or more.
slots() {
  "$PYTHON" - "$REST/overview" "$1" <<'CODE' 2>/dev/null
import json, sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=5) as answer:
    sys.exit(json.load(answer)["slots-total"] < int(sys.argv[2]))
CODE
}

listens() { (exec 3<>"/dev/tcp/localhost/$1") 2>/dev/null; }

# `await NAME PID_FILE COMMAND...`: until the command succeeds. A JVM on a busy
# machine takes half a minute.
await() {
  local name="$1" pid_file="$2" deadline=$((SECONDS + 120))
  shift 2
  until "$@"; do
    lives "$pid_file" && [ "$SECONDS" -lt "$deadline" ] ||
      fail "the $name did not come up; see .flink/log/"
    sleep 0.5
  done
}

free() {
  ! listens "$2" || fail "the $1 needs port $2, and something else has it"
}

mkdir -p "$FLINK_CONF_DIR" "$FLINK_PID_DIR" "$ROOT/tmp"
cp "$FLINK_HOME"/conf/log4j*.properties "$SOURCE/config.yaml" "$FLINK_CONF_DIR"
agent="$(echo "$JOB_SERVER"/byteman-*.jar)"
agent="-javaagent:$agent=script:$SOURCE/loopback.btm"
echo "env.java.opts.taskmanager: $agent" >>"$FLINK_CONF_DIR/config.yaml"

if ! lives "$JOB_MANAGER_PID"; then
  free "job manager" 8081
  rm -f "$JOB_MANAGER_PID"
  bash "$FLINK_HOME/bin/jobmanager.sh" start -D io.tmp.dirs="$ROOT/tmp" >/dev/null
fi
await "job manager" "$JOB_MANAGER_PID" slots 0

if ! lives "$TASK_MANAGER_PID"; then
  rm -f "$TASK_MANAGER_PID"
  bash "$FLINK_HOME/bin/taskmanager.sh" start -D io.tmp.dirs="$ROOT/tmp" >/dev/null
fi

if ! lives "$JOB_SERVER_PID"; then
  free "job server" "$JOB_PORT"
  nohup java "$agent" -Djava.io.tmpdir="$ROOT/tmp" -cp "$JOB_SERVER/*" \
    org.apache.beam.runners.flink.FlinkJobServerDriver \
    --flink-master="$REST" --flink-conf-dir="$FLINK_CONF_DIR" \
    --job-host=localhost --job-port="$JOB_PORT" \
    --artifact-port="$ARTIFACT_PORT" --expansion-port=0 \
    --artifacts-dir="$ROOT/tmp/artifacts" \
    >"$FLINK_LOG_DIR/job-server.log" 2>&1 </dev/null &
  echo $! >"$JOB_SERVER_PID"
fi
await "task manager" "$TASK_MANAGER_PID" slots 2
await "job server" "$JOB_SERVER_PID" listens "$JOB_PORT"

reachable="$("$PYTHON" "$SOURCE/listening.py" \
  "$(tail -n 1 "$JOB_MANAGER_PID")" "$(tail -n 1 "$TASK_MANAGER_PID")" \
  "$(cat "$JOB_SERVER_PID")")" || {
  bash "$SOURCE/down.sh"
  fail "nothing may be reached from other machines (process, address, port):" \
    "$reachable"
}

echo "--runner=FlinkRunner --flink_version=$FLINK_MINOR" \
  "--job_endpoint=localhost:$JOB_PORT --environment_type=LOOPBACK" \
  "--parallelism=2" >"$BEAM_OPTIONS"
say "Flink $FLINK_VERSION runs, two slots, $REST. Beam options (.flink/beam-options):"
cat "$BEAM_OPTIONS"
