# Everything runs in .venv; a fresh machine needs Python 3.11 with venv and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

# Each target installs what it needs, by a lock file of its own. The one of all
# packages has no name.
ALL := $(VENV)/.installed
DEMO := $(VENV)/.installed-demo
DOCS := $(VENV)/.installed-docs
LINT := $(VENV)/.installed-lint

# A finished `run` whose bundle `make test-arm64` runs.
WORKDIR ?= runs/demo
# What the page in the browser runs models with.
PAGE := examples/browser/node_modules/.package-lock.json

.PHONY: demo docs test test-device test-applications test-arm64 test-browser browser-demo \
  check-android test-flink flink-up flink-down lint install lock clean

demo: $(DEMO)
	$(BIN)/keras-dynamic run --config=vgg_cluttered_digits --workdir=runs/demo

# In the order of conftest.py, slow files first; else those with most tests are.
test: $(ALL)
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# Pages and docstrings as a site, build/docs/index.html; no network. A warning is
# an error: a link to no page, heading or file, a name that cannot be imported.
docs: $(DOCS)
	rm -rf docs/api build/docs
	$(BIN)/sphinx-build -c docs -W --keep-going --quiet . build/docs

# What a device runs, installed as a wheel; PYTHON=python3.12, for instance.
test-device:
	bash tests/device/run.sh $(PYTHON)

# The demo's bundle on emulated 64-bit Arm; docs/android.md.
test-arm64: $(ALL) $(WORKDIR)/bundle/manifest.json
	bash tests/arm64/install.sh
	WORKDIR=$(WORKDIR) $(BIN)/pytest -m arm64 -rP tests/arm64

# The report and the page of examples/browser in headless Chromium; docs/report.md
# and docs/browser.md. Needs Node's npm, and the bundle of `make demo`.
test-browser: $(ALL) $(PAGE) $(WORKDIR)/bundle/manifest.json
	bash tests/browser/install.sh
	WORKDIR=$(WORKDIR) $(BIN)/pytest -m browser tests/browser

# A bundle in a page, on this machine alone; docs/browser.md.
browser-demo: $(ALL) $(PAGE) $(WORKDIR)/bundle/manifest.json
	$(BIN)/python examples/browser/serve.py $(WORKDIR)

$(PAGE): examples/browser/package-lock.json
	npm ci --prefix examples/browser --ignore-scripts --no-audit --no-fund
	touch $@

# The networks of keras.applications, one after the other.
test-applications: $(ALL)
	$(BIN)/pytest -m applications tests/applications

runs/demo/bundle/manifest.json: | $(ALL)
	$(MAKE) demo

# Compiles the Kotlin classes and the sample app; needs Java 17 and Maven.
check-android: $(ALL)
	bash examples/android/check.sh

# Flink on this machine, two task slots; docs/flink.md.
flink-up: $(DEMO)
	bash deploy/flink/up.sh

flink-down:
	bash deploy/flink/down.sh

test-flink: $(ALL)
	bash deploy/flink/up.sh && $(BIN)/pytest -m flink; status=$$?; bash deploy/flink/down.sh; exit $$status

lint: $(LINT)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

install: $(ALL)

# A lock file pins every package with its hash; --no-deps because pip cannot
# override tflite-support's protobuf pin (docs/decisions.md, "One environment").
# Most modules are never imported: to compile them all costs 250 MB.
PIP := $(BIN)/pip --disable-pip-version-check install --quiet --no-compile --no-deps

$(ALL): requirements.lock
$(DEMO) $(DOCS) $(LINT): $(VENV)/.installed-%: requirements/%.lock
$(ALL) $(DEMO) $(DOCS) $(LINT): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r $(filter %.lock,$^)
	$(if $(filter $(LINT),$@),,$(PIP) --no-build-isolation -e .)
	touch $@

# Needs uv on the PATH; the index address is not recorded on purpose. The small
# locks have the versions of the large one. TensorFlow asks for libclang (62 MB)
# and never imports it.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-header --no-emit-package libclang
PART := $(COMPILE) --no-annotate --constraints requirements.lock
CPU := --override requirements/overrides.txt --group cpu
RUN := pyproject.toml --group build $(CPU) \
  $(foreach each,beam images report support train,--extra $(each))

lock:
	$(COMPILE) pyproject.toml --extra all --extra support --group dev $(CPU) -o requirements.lock
	$(PART) $(RUN) -o requirements/demo.lock
	$(PART) $(RUN) --group docs -o requirements/docs.lock
	$(PART) --group lint -o requirements/lint.lock
	$(PART) pyproject.toml --extra images --group device -o requirements/device.lock
	$(PART) --group gpu -o requirements/gpu.lock

clean:
	rm -rf $(VENV) runs build docs/api .arm64 .android .device *.egg-info
