# Every target installs what it needs into .venv. Linux, Python >= 3.11, git and make are all that must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
FAST_TESTS := tests/unit tests/contract

.DEFAULT_GOAL := help
.PHONY: help serve test test-slow test-all test-gpu check types page-check tools audit lock proof bench bench-smoke docker-test docs format clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

serve: $(VENV)/.cpu ## Serve on http://127.0.0.1:8000
	$(BIN)/likeness serve

# The tests' many servers and commands find their modules compiled, whatever the environment says of other programs.
test test-slow: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.dev ## Run the fast tests: units and the HTTP contract
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto -m "not (slow or e2e)" $(FAST_TESTS)

# They run one more process than there are processors, because many of these tests wait.
test-slow: $(VENV)/.dev tools ## Run all other tests: end to end, browser, proofs at short length, Docker where there is one
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $$(($$(nproc) + 1)) --dist loadfile -m "slow or e2e or proof or docker or browser" tests

test-all: test test-slow ## Run every test

test-gpu: $(VENV)/.dev ## Train on a GPU in every way (with PyTorch for CUDA and onnxruntime-gpu in .venv); without one, on the CPU
	$(BIN)/pytest tests/unit/training/engine/test_gpu.py

check: $(VENV)/.dev types page-check docs ## Check format, lint, types, imports between packages, spelling, the documents' links
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/codespell

types: $(VENV)/.dev ## Check the types of the Python code
	$(BIN)/mypy --num-workers 2

PRETTIER := $(VENV)/page/node_modules/.bin/prettier --config $(VENV)/page/package.json --log-level warn
PAGE_FILES := 'app/page/**/*.{js,css,html}' '!app/page/vendor/**'
# The answers' types are made of the service's own description, so that the page cannot read what is not there.
page-check: $(VENV)/.dev $(VENV)/.page ## Check format and types of the page's files (where there is npm)
	command -v npm >/dev/null || { echo "no npm here: format and types of the page's files are not checked"; exit 0; }; \
	$(PRETTIER) --check $(PAGE_FILES) && \
	$(BIN)/python -m tests.browser.describe > $(VENV)/page/openapi.json && \
	$(VENV)/page/node_modules/.bin/openapi-typescript $(VENV)/page/openapi.json --output $(VENV)/page/api.d.ts >/dev/null && \
	$(VENV)/page/node_modules/.bin/tsc --project $(VENV)/page

audit: $(VENV)/.dev ## Look for known vulnerabilities in the pinned versions (asks the package index)
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip

lock: $(VENV)/.pip ## Remake requirements/*.lock from pyproject.toml and constraints.txt (asks the package index)
	$(PIP) --constraint constraints.txt --group lock
	for extra in cpu gpu; do $(BIN)/uv pip compile pyproject.toml --extra $$extra --extra heif --extra postgres --constraint constraints.txt \
	  --python-version 3.11 --python-platform linux --generate-hashes --no-annotate --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command 'make lock' --quiet --output-file requirements/$$extra.lock \
	  || exit 1; done
	$(BIN)/uv pip compile --group clients --python-version 3.11 --python-platform linux --generate-hashes --no-annotate \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --quiet \
	  --output-file requirements/clients.lock

# The attacks of the table in docs/operations/limits.md that are not in tests/proof, but beside the tests of what they attack.
ATTACKS := tests/contract/test_sizes.py tests/contract/test_subject_verify.py tests/e2e/test_descriptors.py \
  tests/e2e/test_no_phoning_home.py tests/e2e/test_supervision.py tests/unit/cli/test_backup.py tests/unit/deployment \
  tests/unit/gallery/test_crypto_erasure.py tests/unit/gallery/test_inner_pages.py tests/unit/gallery/test_pending_erasures.py \
  tests/unit/gallery/test_template_transform.py tests/unit/server/test_heads.py tests/unit/test_settings.py
proof: $(VENV)/.dev ## Run every proof at full length: schemathesis, fuzz, soak, faults, attacks, 200 kills (over two hours)
	LIKENESS_PROOF=full $(BIN)/pytest --timeout 3600 tests/unit/training/engine/test_health_checks.py tests/proof $(ATTACKS)

bench: $(VENV)/.dev ## Time every stage against its peers, hold the ratios against their targets, renew docs/benchmarks.md
	$(BIN)/python -m tests.benchmarks --publish $(BENCH)

bench-smoke: $(VENV)/.dev ## Measure some rows for a minute; fail where one is 15 % slower than this processor's last report
	$(BIN)/python -m tests.benchmarks.smoke

docker-test: $(VENV)/.dev ## Build the images, bring the service up, restart and stop it (needs Docker)
	$(BIN)/pytest --timeout 1800 tests/docker

docs: $(VENV)/.dev ## Build the site of the documents in build/docs/site; broken links and anchors are errors
	$(BIN)/python -m tests.support.docs_site build/docs

format: $(VENV)/.dev $(VENV)/.page ## Format the code
	! command -v npm >/dev/null || $(PRETTIER) --write $(PAGE_FILES)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove what was installed and cached
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info

tools: $(VENV)/.clients $(VENV)/.openvino $(VENV)/.page ## Install what only the slow tests need

# A stamp says that its packages are installed as the files named here now have them.
$(VENV)/.cpu: pyproject.toml requirements/cpu.lock | $(BIN)/python
	$(PIP) --require-hashes --requirement requirements/cpu.lock
	$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/.pip
	$(PIP) --constraint constraints.txt --editable '.[cpu,heif,otel,training,timm,sweep,dev]'
	$(PIP) --no-deps --group reference  # it pins an old torch that it does not need
	@touch $@ $(VENV)/.cpu

CLIENTS := tests/e2e/clients/typescript
$(VENV)/.clients: requirements/clients.lock $(CLIENTS)/package-lock.json | $(BIN)/python # tests skip TypeScript without npm
	$(BIN)/python -m venv --without-pip $(VENV)/clients
	$(BIN)/python -m pip --python $(VENV)/clients/bin/python --disable-pip-version-check install --quiet --require-hashes \
	  --requirement requirements/clients.lock
	mkdir -p $(VENV)/clients/typescript
	cp $(CLIENTS)/package.json $(CLIENTS)/package-lock.json $(VENV)/clients/typescript
	! command -v npm >/dev/null || npm --prefix $(VENV)/clients/typescript ci --silent --no-audit --no-fund
	@touch $@

PAGE := tests/browser/tools
$(VENV)/.page: $(PAGE)/package.json $(PAGE)/package-lock.json $(PAGE)/tsconfig.json | $(BIN)/python # for checks of app/page
	mkdir -p $(VENV)/page
	cp $^ $(VENV)/page
	! command -v npm >/dev/null || npm --prefix $(VENV)/page ci --silent --no-audit --no-fund
	@touch $@

# OpenVINO stays out of the environment, where `auto` would choose it and give other vectors than the documents print.
$(VENV)/.openvino: constraints.txt $(VENV)/.pip
	$(PIP) --no-deps --constraint constraints.txt --target $(VENV)/openvino --upgrade openvino openvino-telemetry
	@touch $@

$(VENV)/.pip: constraints.txt | $(BIN)/python # --group needs pip >= 25.1, which older Pythons do not bring
	$(PIP) --constraint constraints.txt --upgrade pip
	@touch $@

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "expected Python >= 3.11, got " + sys.version)'
	$(PYTHON) -m venv $(VENV)
