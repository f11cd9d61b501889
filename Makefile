# Everything runs in .venv; a fresh machine needs Python 3.11 with venv and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# A finished `run` whose bundle `make test-arm64` runs.
WORKDIR ?= runs/demo

.PHONY: demo docs test test-arm64 test-browser check-android test-flink flink-up flink-down lint install lock clean

demo: $(STAMP)
	$(BIN)/keras-dynamic run --config=ranet_digits --workdir=runs/demo

test: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile

# Pages and docstrings as a site, build/docs/index.html; no network. A warning is
# an error: a link to no page, heading or file, a name that cannot be imported.
docs: $(STAMP)
	rm -rf docs/api build/docs
	$(BIN)/sphinx-build -c docs -W --keep-going --quiet . build/docs

# The demo's bundle on emulated 64-bit Arm; docs/android.md.
test-arm64: $(STAMP) $(WORKDIR)/bundle/manifest.json
	bash tests/arm64/install.sh
	WORKDIR=$(WORKDIR) $(BIN)/pytest -m arm64 -rP tests/arm64

# The report in headless Chromium; docs/report.md.
test-browser: $(STAMP)
	bash tests/browser/install.sh
	$(BIN)/pytest -m browser tests/browser

runs/demo/bundle/manifest.json: | $(STAMP)
	$(MAKE) demo

# Compiles the Kotlin class; needs Java 17 and Maven.
check-android: $(STAMP)
	bash examples/android/check.sh

# Flink on this machine, two task slots; docs/flink.md.
flink-up: $(STAMP)
	bash deploy/flink/up.sh

flink-down:
	bash deploy/flink/down.sh

test-flink: $(STAMP)
	bash deploy/flink/up.sh && $(BIN)/pytest -m flink; status=$$?; bash deploy/flink/down.sh; exit $$status

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

install: $(STAMP)

# The lock file pins every package with its hash; --no-deps because pip cannot
# override tflite-support's protobuf pin (docs/decisions.md, "One environment").
$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Needs uv on the PATH; the index address is not recorded on purpose.
lock:
	uv pip compile pyproject.toml --all-extras --group dev --universal \
	  --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 --output-file requirements.lock

clean:
	rm -rf $(VENV) runs build docs/api .arm64 .android *.egg-info
