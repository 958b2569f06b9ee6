# The first Python that is new enough; choose another with `make PYTHON=...`.
PYTHON ?= $(shell for p in python3.13 python3 /usr/bin/python3; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
LAMBDA_PYTHON := 3.13
LAMBDA_PLATFORM := manylinux2014_x86_64
REGENERATE := uv pip compile --universal --generate-hashes --no-annotate --no-header --quiet

# Only the runtime's own Python makes byte-code that the runtime takes. The SDK's thousand generated classes stay out of it:
# none of them is imported.
LAMBDA_PYTHON_HERE := $(shell for p in $(BIN)/python python$(LAMBDA_PYTHON) $(PYTHON); do \
    $$p -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(LAMBDA_PYTHON)")' 2>/dev/null && echo $$p && break; done)
COMPILE = $(if $(LAMBDA_PYTHON_HERE),$(LAMBDA_PYTHON_HERE) -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$(ARTIFACTS_DIR)" -p /var/task \
    -x 'adobjects/(?!__init__|abstractobject|objectparser)',: no Python $(LAMBDA_PYTHON) here, so no byte-code in)

.PHONY: demo test lint fmt sandbox bench fleet-trial audit lock build-SyncFunction

demo: .venv/ready       ## the daily job against a local stand-in for Meta, CLOSRTECH and AWS
	@$(BIN)/python -m sandbox.demo

test: .venv/ready .venv/sam/ready .venv/ministack/ready ## all tests, with coverage
	@$(BIN)/python -m pytest --cov --numprocesses auto --dist loadfile

lint: .venv/ready       ## style, types, import direction
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fmt: .venv/ready        ## put the code into its standard form
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

sandbox: .venv/ready    ## keep the local stand-in running; prints the environment for another shell
	@$(BIN)/python -m sandbox

bench: .venv/ready .venv/sam/ready ## what a run costs, beside the obvious design; takes a quarter of an hour
	@$(BIN)/python -m scripts.bench

fleet-trial: .venv/ready .venv/ministack/ready ## a bad day of 200 campaigns through the deployed workflow; takes six minutes
	@$(BIN)/python -m scripts.fleet_trial

audit: .venv/audit/ready ## known vulnerabilities of what is packed, and of what is developed with (asks PyPI)
	@.venv/audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.txt
	@.venv/audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements-dev.txt

lock:                   ## renew all lock files from pyproject.toml (needs uv)
	$(REGENERATE) pyproject.toml --python-version 3.11 --group dev --output-file requirements-dev.txt
	$(REGENERATE) pyproject.toml --python-version 3.11 --constraint requirements-dev.txt --output-file requirements.txt \
	    --no-emit-package boto3 --no-emit-package botocore --no-emit-package s3transfer --no-emit-package python-dateutil
	$(REGENERATE) --python-version 3.11 --group sam --output-file requirements-sam.txt
	$(REGENERATE) --python-version 3.11 --group ministack --output-file requirements-ministack.txt
	$(REGENERATE) --python-version 3.11 --group audit --output-file requirements-audit.txt

.venv/ready: requirements-dev.txt scripts/set_up.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) scripts/set_up.py

# With the runtime's own Python, where there is one, for the packed wheels are made for that.
.venv/%/ready: requirements-%.txt scripts/set_up.py .venv/ready
	@$(or $(LAMBDA_PYTHON_HERE),$(BIN)/python) scripts/set_up.py $*

build-SyncFunction:     ## what `sam build` packs; by hand: make build-SyncFunction ARTIFACTS_DIR=an-empty-folder
	@test -n "$(ARTIFACTS_DIR)" || { echo "Where to? make build-SyncFunction ARTIFACTS_DIR=an-empty-folder"; exit 1; }
	@mkdir -p "$(ARTIFACTS_DIR)"
	@test -z "$$(ls -A "$(ARTIFACTS_DIR)")" || { echo "$(ARTIFACTS_DIR) is not empty"; exit 1; }
	@$(if $(wildcard .venv/ready),$(BIN)/python,$(PYTHON)) -m pip install --quiet --disable-pip-version-check --no-compile \
	    --no-deps --require-hashes --only-binary=:all: --platform $(LAMBDA_PLATFORM) --python-version $(LAMBDA_PYTHON) \
	    --implementation cp --target "$(ARTIFACTS_DIR)" -r requirements.txt
	@cp -R handler.py closrads data "$(ARTIFACTS_DIR)"
	@rm -rf "$(ARTIFACTS_DIR)/closrads/cli" "$(ARTIFACTS_DIR)/closrads/__main__.py" # the operator's commands
	@find "$(ARTIFACTS_DIR)" -mindepth 1 -type d \( -name __pycache__ -o -name bin -o -name test -o -name tests \) \
	    -prune -exec rm -rf {} +
	@$(COMPILE) "$(ARTIFACTS_DIR)"
