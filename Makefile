# Everything here needs make and a Python that has venv; the rest is installed into .venv.
#   make PYTHON=python3.12 test    another interpreter (after `make clean`)
#   make test ARGS="-k stream -x"  arguments for pytest
#   make test JOBS=0               in one process

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
JOBS ?= 3

# Where the engines of `make stack` are built, once: their own modules and packages pin them.
STACK_ENGINES ?= .stack
export STACK_ENGINES

BIN := $(VENV)/bin
# Twice quiet: errors are still printed.
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check

# What is compiled is kept: else each worker, and each program that a test starts, compiles it anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test thorough slow mock-servers frameworks webservers bench soak mutate interop lint format cover matrix stack engines verify-stack verify-dashboards verify-phoenix release-check clean

help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.demo ## run the demo: an embedded server, no key, no network
	@$(BIN)/tokentrail demo

test: $(VENV)/.dev ## run the tests
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

thorough: $(VENV)/.dev ## run the tests that take long: whole programs, notebooks, each function broken
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "thorough and not slow" $(ARGS)

slow: $(VENV)/.dev ## run the tests that install the wheel into new environments
	@$(BIN)/python -m pytest -m "slow and not mock_servers" $(ARGS)

mock-servers: $(VENV)/.dev ## run the tests against servers that others wrote
	@$(BIN)/python -m pytest -m mock_servers $(ARGS)

frameworks: $(VENV)/.dev ## run the tests on top of frameworks, each in its own environment
	@$(BIN)/nox -s frameworks -- $(ARGS)

webservers: $(VENV)/.dev ## run the tests inside real web servers
	@$(BIN)/nox -s webservers -- $(ARGS)

interop: $(VENV)/.dev ## run the tests beside the official instrumentation
	@$(BIN)/nox -s interop -- $(ARGS)

bench: $(VENV)/.dev ## measure what tokentrail costs, beside its peers
	@PYTHONPATH=tools $(BIN)/python -m bench $(ARGS)

soak: $(VENV)/.dev ## use it hard for minutes: spans, tokens, memory; ARGS="load --seconds 600"
	@PYTHONPATH=tools $(BIN)/python -m soak $(ARGS)

mutate: $(VENV)/.dev ## see which changes of the code no test notices; ARGS="--seconds 120"
	@$(BIN)/python -m tools.mutate $(ARGS)

lint: $(VENV)/.dev ## check style, format, types, spelling, and prose and links of the pages
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/codespell
	@$(BIN)/python -m tools.check_pages

format: $(VENV)/.dev ## mend style and format where a program can
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

cover: $(VENV)/.dev ## run the tests and say which branches they leave out
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow and not frameworks and not webservers" --cov $(ARGS)

matrix: $(VENV)/.dev ## run the tests on every supported release of what we stand on
	@$(BIN)/nox $(ARGS)

stack: $(VENV)/.stack ## run Collector, Jaeger and Prometheus without Docker; APP="python my_program.py"
	@PYTHONPATH=tools $(BIN)/python -m stack

engines: $(VENV)/.dev ## build the programs that verify-stack and verify-dashboards run (needs Go)
	@PYTHONPATH=tools $(BIN)/python -m stack --build all

verify-stack: engines ## prove the stack of examples/observability on the real programs
	@REQUIRE_ENGINES=$(STACK_ENGINES) $(BIN)/python -m pytest tests/stack -m "slow or not slow" $(ARGS)

verify-dashboards: $(VENV)/.dev ## prove each query of dashboards and rules on a real Prometheus (needs Go)
	@PYTHONPATH=tools $(BIN)/python -m stack --build prometheus promtool
	@REQUIRE_ENGINES=$(STACK_ENGINES) $(BIN)/python -m pytest tests/dashboards tests/cost/test_prices_command.py -m "slow or not slow" $(ARGS)

verify-phoenix: $(VENV)/.dev .phoenix/.made ## export traces to Arize Phoenix and read them back
	@PHOENIX=.phoenix/bin/phoenix $(BIN)/python -m pytest tests/stack/test_phoenix.py -m slow $(ARGS)

release-check: $(VENV)/.dev ## build sdist and wheel twice, check them, run the demo from each
	@PYTHONPATH=src $(BIN)/python tools/release_check.py

clean: ## remove what was made
	rm -rf .venv .stack .phoenix .nox .mutation build dist htmlcov .coverage .coverage.* .hypothesis .*_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: an environment is made once, and installed into anew when pyproject.toml changes.

$(VENV)/.made:
	@command -v "$(PYTHON)" >/dev/null || { \
	    echo "tokentrail needs Python 3.10 or newer, and there is no '$(PYTHON)' here;" \
	         "name one with: make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	    echo "tokentrail needs Python 3.10 or newer, but '$(PYTHON)' is" \
	         "$$("$(PYTHON)" --version 2>&1); name another with: make PYTHON=python3.12" >&2; exit 1; }
	@echo "making $(VENV) ..."
	@"$(PYTHON)" -m venv "$(VENV)"
	@touch $@

# The backend that verify-phoenix starts; its release is moved by hand.
.phoenix/.made: $(VENV)/.made
	@echo "installing Arize Phoenix into .phoenix ..."
	@$(BIN)/python -m venv .phoenix
	@.phoenix/bin/python -m pip install -qq --disable-pip-version-check 'arize-phoenix == 20.26.1'
	@touch $@

$(VENV)/.demo: pyproject.toml $(VENV)/.made
	@echo "installing tokentrail[demo] into $(VENV) ..."
	@$(INSTALL) --editable '.[demo]'
	@touch $@

$(VENV)/.stack: pyproject.toml $(VENV)/.made
	@echo "installing tokentrail[demo] and the OTLP exporter into $(VENV) ..."
	@$(INSTALL) --editable '.[demo]' 'opentelemetry-exporter-otlp-proto-http >= 1.30'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.made
	@echo "installing tokentrail[dev] into $(VENV) ..."
	@$(INSTALL) --editable '.[dev]'
	@touch $@
