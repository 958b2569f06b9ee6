# The first Python that is new enough; choose another with `make PYTHON=...`.
PYTHON ?= $(shell for p in python3.13 python3 /usr/bin/python3; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
LAMBDA_PYTHON := 3.13
LAMBDA_PLATFORM := manylinux2014_x86_64

# Only the runtime's own Python makes byte-code that the runtime takes. The SDK's thousand generated classes stay out of it:
# none of them is imported.
LAMBDA_PYTHON_HERE := $(shell for p in $(BIN)/python python$(LAMBDA_PYTHON) $(PYTHON); do \
    $$p -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(LAMBDA_PYTHON)")' 2>/dev/null && echo $$p && break; done)
COMPILE = $(if $(LAMBDA_PYTHON_HERE),$(LAMBDA_PYTHON_HERE) -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$(ARTIFACTS_DIR)" -p /var/task \
    -x 'adobjects/(?!__init__|abstractobject|objectparser)',: no Python $(LAMBDA_PYTHON) here, so no byte-code in)

.DEFAULT_GOAL := help
.NOTPARALLEL: # the layers of .venv are installed one after another
.PHONY: help demo cli test test-all lint fmt sandbox simulate mutants bench fleet-trial audit lock build-SyncFunction build-WebhookFunction

help:                   ## list these targets
	@awk -F ':.*## ' '/^[a-zA-Z-]+:.*## / {printf "make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/demo.ready  ## the daily job against a local stand-in for Meta, CLOSRTECH and AWS
	@$(BIN)/python -m sandbox.demo

cli: .venv/cli.ready    ## set up the operator's commands: .venv/bin/python -m closrads

FAST := --ignore tests/slow --numprocesses auto --dist worksteal
ALL := $(filter test-all,$(MAKECMDGOALS))
# In one call with `test-all`, each fast test runs once: here those that are to reach all code, which is measured.
test: .venv/test.ready  ## the fast tests: everything that proves behaviour
	@$(BIN)/python -m pytest $(FAST) --hypothesis-profile quick \
	    $(if $(ALL),-m "not sweep and not hypothesis and not no_cover" --cov --durations 10,-m "not sweep")

# All others without coverage, which takes twice as long: what they reach, the measured ones reach too.
# Of the slow tests, each file in one process, because they share what takes long to start (tests/slow/conftest.py has two
# exceptions); and in one process more than there are processors, because many wait for servers.
test-all: test .venv/sam/ready .venv/ministack/ready ## and the long sweeps, and what needs a real server, process or browser; 100 % coverage
	@$(BIN)/python -m pytest $(FAST) -m "sweep or hypothesis or no_cover" --durations 10
	@$(BIN)/python -m pytest tests/slow --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist loadfile \
	    --no-loadscope-reorder --durations 10

lint: .venv/lint.ready  ## style, types, import direction, the workflows of GitHub
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/zizmor --offline --quiet .github

fmt: .venv/lint.ready   ## put the code into its standard form
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

sandbox: .venv/demo.ready .venv/cli.ready ## keep the local stand-in running, SCENARIO="a name" for another; prints the environment for a shell
	@$(BIN)/python -m sandbox $(if $(SCENARIO),--scenario "$(SCENARIO)")

MINUTES := 10
simulate: .venv/test.ready ## random worlds in virtual time, for MINUTES=10
	@$(BIN)/python -m tests.simulation --minutes $(MINUTES)

mutants: .venv/mutants.ready ## change the code in small ways and see that a test fails each time
	@$(BIN)/python -m scripts.mutants

bench: .venv/test.ready .venv/sam/ready ## what a run costs, beside a naive implementation; takes a quarter of an hour
	@$(BIN)/python -m scripts.bench

fleet-trial: .venv/test.ready .venv/ministack/ready ## a bad day of 200 campaigns through the deployed workflow; takes six minutes
	@$(BIN)/python -m scripts.fleet_trial

audit: .venv/audit/ready ## known vulnerabilities of what is packed, and of what is developed with (asks PyPI)
	@for lock in requirements.txt requirements-mutants.txt; do \
	    .venv/audit/bin/pip-audit --strict --disable-pip --require-hashes -r $$lock || exit; done

# Each lock takes the versions of the next larger one; what is already locked stays, unless OPTIONS=--upgrade is given.
COMPILE_LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet $(OPTIONS)
LOCK_LAYER = $(COMPILE_LOCK) --constraint requirements-mutants.txt
lock:                   ## renew all lock files from pyproject.toml (needs uv); OPTIONS=--upgrade raises the versions
	$(COMPILE_LOCK) --group mutants --output-file requirements-mutants.txt
	$(LOCK_LAYER) --group lint --output-file requirements-lint.txt
	$(LOCK_LAYER) --group test --output-file requirements-test.txt
	$(LOCK_LAYER) --group cli --output-file requirements-cli.txt
	$(LOCK_LAYER) --group demo --output-file requirements-demo.txt
	$(LOCK_LAYER) --group function --output-file requirements.txt \
	    --no-emit-package boto3 --no-emit-package botocore --no-emit-package s3transfer --no-emit-package python-dateutil
	$(COMPILE_LOCK) --group sam --output-file requirements-sam.txt
	$(COMPILE_LOCK) --group ministack --output-file requirements-ministack.txt
	$(COMPILE_LOCK) --group audit --output-file requirements-audit.txt

.venv/%.ready: requirements-%.txt scripts/set_up.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) scripts/set_up.py $*

# With the runtime's own Python, where there is one, for the packed wheels are made for that.
.venv/%/ready: requirements-%.txt scripts/set_up.py
	@$(or $(LAMBDA_PYTHON_HERE),$(PYTHON)) scripts/set_up.py $*

build-SyncFunction:     ## what `sam build` packs; by hand: make build-SyncFunction ARTIFACTS_DIR=an-empty-folder
	@test -n "$(ARTIFACTS_DIR)" || { echo "Where to? make build-SyncFunction ARTIFACTS_DIR=an-empty-folder"; exit 1; }
	@mkdir -p "$(ARTIFACTS_DIR)"
	@test -z "$$(ls -A "$(ARTIFACTS_DIR)")" || { echo "$(ARTIFACTS_DIR) is not empty"; exit 1; }
	@$(if $(wildcard .venv/*.ready),$(BIN)/python,$(PYTHON)) -m pip install --quiet --disable-pip-version-check --no-compile \
	    --no-deps --require-hashes --only-binary=:all: --platform $(LAMBDA_PLATFORM) --python-version $(LAMBDA_PYTHON) \
	    --implementation cp --target "$(ARTIFACTS_DIR)" -r requirements.txt
	@cp -R handler.py closrads data "$(ARTIFACTS_DIR)"
	@rm -rf "$(ARTIFACTS_DIR)/closrads/cli" "$(ARTIFACTS_DIR)/closrads/__main__.py" # the operator's commands
	@find "$(ARTIFACTS_DIR)" -mindepth 1 -type d \( -name __pycache__ -o -name bin -o -name test -o -name tests \) \
	    -prune -exec rm -rf {} +
	@$(COMPILE) "$(ARTIFACTS_DIR)"

build-WebhookFunction: build-SyncFunction # the same package, and another entrance
