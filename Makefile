# Two commands matter: `make demo` and `make test`. Everything they need is set up on the way.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 3
READY := $(VENV)/.ready
OLDEST := .venv-oldest

.PHONY: demo test lint bench oldest soak clusters-up clusters-down wheel clean

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("GreenKernel needs Python 3.11, 3.12 or 3.13; say which with: make PYTHON=python3.11 ...") if not (3, 11) <= sys.version_info < (3, 14) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(READY)

demo: $(READY)  ## the ECG forest: profiled, planned, shipped, moved while it runs, returned
	$(BIN)/greenkernel demo

test: $(READY) lint  ## all tests; those of Kubernetes start real clusters where they can
	@failed=0; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m 'not soak and not alone' || failed=1; \
	$(BIN)/python -m pytest -m 'alone and not soak' || failed=1; \
	exit $$failed

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## speed and memory, as ratios against a peer in the same run
	$(BIN)/python -m benchmarks

$(OLDEST)/.ready: pyproject.toml tests/oldest.py
	python3.11 -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --upgrade pip
	$(OLDEST)/bin/python -m tests.oldest | $(OLDEST)/bin/python -m pip install --quiet --requirement /dev/stdin
	$(OLDEST)/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

oldest: $(OLDEST)/.ready  ## cells, records and snapshots on the oldest versions that pyproject.toml allows
	$(OLDEST)/bin/python -m pytest -n $(WORKERS) --dist loadgroup tests/unit/test_record_*.py tests/unit/test_fits.py \
		tests/unit/test_checkpoints.py tests/unit/test_liveness.py tests/unit/test_snapshots_*.py \
		tests/unit/test_execute.py tests/unit/test_payloads.py tests/unit/test_surroundings.py \
		tests/flows/test_record_*.py tests/flows/test_resume.py tests/flows/test_snapshots.py

soak: $(READY)  ## the long form of the fault tests, and examples of other projects
	$(BIN)/python -m pip install --quiet --editable '.[public]'
	$(BIN)/python -m pytest -m soak
	$(BIN)/python -m pytest tests/unit/test_callbacks.py tests/unit/test_compiled.py tests/unit/test_surroundings.py \
		-k 'keras or compiled or jax or bokeh'

clusters-up: $(READY)  ## two real Kubernetes sites and an S3 server on this machine
	$(BIN)/python -m tests.clusters up

clusters-down: $(READY)
	$(BIN)/python -m tests.clusters down

wheel: $(READY)
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf build dist $(VENV) $(OLDEST)
