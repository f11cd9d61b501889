#!/usr/bin/env bash
# Installs Debian's chromium, if there is none; needs root for that.
set -euo pipefail

say() { echo "browser: $*"; }

fail() {
  echo "browser: error: $*" >&2
  exit 1
}

if [ -n "${CHROMIUM:-}" ]; then
  [ -x "$CHROMIUM" ] || fail "CHROMIUM must be a program. Received: $CHROMIUM"
  exit 0
fi
! command -v chromium >/dev/null || exit 0

command -v apt-get >/dev/null ||
  fail "needs chromium, and there is no apt-get to install it. Install it, or" \
    "name a Chromium or Chrome: make test-browser CHROMIUM=/path/to/chrome"
as_root=""
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null ||
    fail "must be root to install chromium, or have sudo"
  as_root=sudo
fi
log="$(mktemp)"
say "installs chromium with apt-get"
$as_root apt-get -qq update >"$log" 2>&1 || true
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes \
  --no-install-recommends chromium >>"$log" 2>&1 ||
  fail "apt-get could not install chromium; $log says more"
rm "$log"
