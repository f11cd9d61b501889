#!/usr/bin/env bash
# Stops the cluster and waits until its processes are gone.
source "$(dirname "$0")/settings.sh"

for pid_file in "$JOB_SERVER_PID" "$TASK_MANAGER_PID" "$JOB_MANAGER_PID"; do
  if lives "$pid_file"; then
    pid="$(tail -n 1 "$pid_file")"
    kill "$pid"
    for _ in $(seq 60); do
      lives "$pid_file" || break
      sleep 0.25
    done
    ! lives "$pid_file" || kill -9 "$pid"
  fi
  rm -f "$pid_file"
done
rm -rf "$ROOT/tmp" "$BEAM_OPTIONS"
say "stopped"
