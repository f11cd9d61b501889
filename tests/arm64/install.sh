#!/usr/bin/env bash
# Fetches into .arm64/ what runs a bundle as on 64-bit Arm, and is not there yet:
# qemu's emulator, Debian's arm64 Python, and wheels. The system stays as it is,
# and root is not needed.
set -euo pipefail

SOURCE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
REPOSITORY="$(cd "$SOURCE/../.." && pwd)"
ROOT="$REPOSITORY/.arm64"
SYSTEM="$ROOT/system"
PACKAGES="$ROOT/packages"
QEMU="$ROOT/qemu-aarch64-static"

say() { echo "arm64: $*"; }

fail() {
  echo "arm64: error: $*" >&2
  exit 1
}

# apt for an arm64 machine on which nothing is installed, so that it names every
# library; it takes the sources of this machine and leaves its state alone.
as_arm64() {
  apt-get -qq -o APT::Architecture=arm64 \
    -o APT::Architectures::=arm64 -o APT::Architectures::=amd64 \
    -o Dir::State="$ROOT/apt/state" -o Dir::State::status="$ROOT/apt/status" \
    -o Dir::Cache="$ROOT/apt/cache" -o Debug::NoLocking=1 "$@"
}

update() {
  [ ! -e "$ROOT/apt/status" ] || return 0
  for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null ||
      fail "needs $tool, to fetch Debian's arm64 packages; it was not found." \
        "On another system put into .arm64/ what tests/arm64/install.sh says:" \
        "qemu-aarch64-static, system/ with usr/bin/python3.11, packages/."
  done
  mkdir -p "$ROOT/apt/state/lists/partial" "$ROOT/apt/cache/archives/partial"
  # A source that has no arm64 packages, or does not answer, may be of no use
  # here: what is missing in the end is an error below.
  as_arm64 update >"$ROOT/apt.log" 2>&1 || true
  touch "$ROOT/apt/status"
}

# `unpack DIRECTORY`: all packages that apt has fetched.
unpack() {
  local package
  mkdir -p "$1"
  for package in "$ROOT"/apt/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$1"
    rm "$package"
  done
}

install_qemu() {
  say "fetches qemu: apt-get download qemu-user-static (63 MB)"
  update
  (cd "$ROOT/apt/cache/archives" && as_arm64 download qemu-user-static:amd64) \
    >>"$ROOT/apt.log" 2>&1 ||
    fail "apt has no qemu-user-static; .arm64/apt.log says more"
  unpack "$ROOT/partial"
  mv "$ROOT/partial/usr/bin/qemu-aarch64-static" "$QEMU"
  rm -rf "$ROOT/partial"
}

install_system() {
  say "fetches Debian's arm64 python3.11 with its libraries (17 MB)"
  update
  # libstdc++ is for the wheels.
  as_arm64 install --yes --download-only --no-install-recommends \
    python3.11-minimal libpython3.11-stdlib libstdc++6 >>"$ROOT/apt.log" 2>&1 ||
    fail "apt has no arm64 python3.11, as Debian 12 has; .arm64/apt.log says more"
  unpack "$ROOT/partial"
  mv "$ROOT/partial" "$SYSTEM"
}

install_packages() {
  say "fetches numpy and ai-edge-litert for aarch64 (29 MB)"
  rm -rf "$PACKAGES"
  "$REPOSITORY/.venv/bin/python" -m pip install --quiet \
    --disable-pip-version-check --target "$ROOT/partial" --no-deps \
    --require-hashes --only-binary=:all: --python-version 3.11 \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
    -r "$SOURCE/requirements.txt" ||
    fail "pip could not install the wheels of tests/arm64/requirements.txt"
  mv "$ROOT/partial" "$PACKAGES"
}

[ "$(uname -sm)" = "Linux x86_64" ] ||
  fail "compares with x86-64 Linux, and this is $(uname -sm)"

mkdir -p "$ROOT"
echo '*' >"$ROOT/.gitignore"
rm -rf "$ROOT/partial" "$ROOT/apt"
[ -x "$QEMU" ] || install_qemu
[ -d "$SYSTEM" ] || install_system
[ "$PACKAGES" -nt "$SOURCE/requirements.txt" ] || install_packages
rm -rf "$ROOT/apt"
