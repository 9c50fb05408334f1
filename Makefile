# Every target installs what it needs into .venv. Linux, Python >= 3.11, git and make are all that must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help serve test check audit proof bench docker-test format clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

serve: $(VENV)/.cpu ## Serve on http://127.0.0.1:8000
	$(BIN)/likeness serve

test: $(VENV)/.dev ## Run the tests
	$(BIN)/pytest

check: $(VENV)/.dev ## Format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(VENV)/.dev ## Look for known vulnerabilities in the pinned versions (asks the package index)
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip

proof: $(VENV)/.dev ## Every proof at full length: schemathesis, fuzz, soak, faults (about an hour)
	LIKENESS_PROOF=full $(BIN)/pytest --timeout 3600 tests/proof

bench: $(VENV)/.dev ## Time every stage against its peers, hold the ratios against their targets, write docs/benchmarks.md
	$(BIN)/python -m tests.benchmarks --json docs/benchmarks.json --document docs/benchmarks.md $(BENCH)

docker-test: $(VENV)/.dev ## Build the images, bring the service up, restart and stop it (needs Docker)
	$(BIN)/pytest --timeout 1800 tests/docker

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove what was installed and cached
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info

# A stamp says that its extras are installed as pyproject.toml and constraints.txt now have them.
$(VENV)/.cpu: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[cpu]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[cpu,otel,training,timm,dev]'
	$(PIP) --no-deps facenet-pytorch  # it pins a torch of its own that it does not need
	@touch $@ $(VENV)/.cpu

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "want Python >= 3.11, got " + sys.version)'
	$(PYTHON) -m venv $(VENV)
