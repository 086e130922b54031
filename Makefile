# Everything that a person or CI does with a checkout. `make` alone lists it.
# Needs make, git and Python 3.11+ with venv; downloads Python packages only (`test-peers` excepted: it asks apt).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest

# Stamps: an environment is built again only when pyproject.toml has changed since.
PRODUCT := $(VENV)/.product
TOOLS   := $(VENV)/.tools
BROWSER := $(VENV)/.browser

# Real peers as command=package; `make test-peers` installs the packages of the commands that are missing.
PEERS := curl=curl sqlite3=sqlite3 kamailio=kamailio,kamailio-extra-modules,kamailio-utils-modules,kamailio-radius-modules sipp=sip-tester \
         radclient=freeradius-utils freeradius=freeradius \
         chromium=chromium,fonts-dejavu-core systemd-analyze=systemd cc=gcc,libc6-dev

# What `make bench` runs, and what `make run` adds to the command line.
BENCHES ?= ingest rate
ARGS    ?=

.DEFAULT_GOAL := help
.PHONY: help run test check test-peers screenshots torture bench coverage format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(PRODUCT) ## set up a private environment and run the demo (ARGS="--once" for the scripted story)
	$(BIN)/tollkeeper demo $(ARGS)

test: $(TOOLS) ## the test suite; tests that need real peers show as skipped
	$(PYTEST)

check: $(TOOLS) ## lint, formatting, types, import directions, and the rules of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) --quiet tests/test_tidy.py tests/test_docs.py

test-peers: $(BROWSER) ## as root: install the real peers with apt and test against them; a missing one is a failure
	@missing=; \
	for peer in $(PEERS); do \
	  command -v "$${peer%%=*}" >/dev/null || missing="$$missing $$(echo "$${peer#*=}" | tr , ' ')"; \
	done; \
	if [ -n "$$missing" ]; then \
	  echo "installing the peers:$$missing"; \
	  apt-get update --quiet && \
	  DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends $$missing; \
	fi
	TOLLKEEPER_PEERS=required $(PYTEST) -m peers

screenshots: $(BROWSER) ## pictures of the pages, for the documents (needs chromium)
	$(BIN)/python -m tests.browser.screenshots web/screenshots

torture: $(TOOLS) ## the test suite with its long versions: hundreds of rounds of kill -9, thousands of power failures
	TOLLKEEPER_AGREEMENT_CALLS=200000 TOLLKEEPER_KILL_ROUNDS=500 TOLLKEEPER_KILL_ORDER_ROUNDS=300 \
	TOLLKEEPER_KILL_BILL_ROUNDS=200 TOLLKEEPER_KILL_PAYMENT_ROUNDS=200 \
	TOLLKEEPER_CRASH_IMAGES=2000 TOLLKEEPER_IO_FAULTS=0 TOLLKEEPER_PEERS=1 $(PYTEST)

bench: $(PRODUCT) ## the benchmarks (BENCHES="ingest rate")
	for bench in $(BENCHES); do $(BIN)/tollkeeper bench $$bench || exit 1; done

coverage: $(TOOLS) ## the test suite, and which lines it did not reach
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report --show-missing --skip-covered

format: $(TOOLS) ## put the sources into the form that `make check` wants
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and everything that was built
	rm -rf $(VENV) build *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PRODUCT): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(TOOLS): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[test,simulators]'
	touch $@ $(PRODUCT)

$(BROWSER): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[test,simulators,browser]'
	touch $@ $(TOOLS) $(PRODUCT)
