# Featherweight. `make demo` and `make test` do all the set-up themselves.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: demo test bench attacks-stock build lessons lab bubblewrap

demo: .venv/ready bubblewrap
	@if command -v bwrap >/dev/null; then $(BIN)/autograder demo; else $(BIN)/autograder demo --isolation process; fi

test: .venv/ready bubblewrap
	$(BIN)/python -m pytest

bench: .venv/ready bubblewrap            ## stock nbgrader against the wall, on the same submissions
	$(BIN)/python -m tests.bench

attacks-stock: .venv/ready bubblewrap    ## the attack suite against stock nbgrader
	$(BIN)/python -m tests.attacks.stock

build: .venv/ready
	$(BIN)/autograder build

lessons: .venv/ready                     ## run the lessons again and store their outputs in them
	$(BIN)/jupyter nbconvert --to notebook --inplace --execute --ExecutePreprocessor.record_timing=False --log-level=WARN \
	  --KernelManager.transport=ipc --KernelManager.ip="$$(mktemp -d)/kernel" course/lessons/*.ipynb

lab: .venv/ready                         ## JupyterLab with nbgrader's formgrader; must start here to grade behind the wall
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter lab

bubblewrap:
	@command -v bwrap >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq bubblewrap >/dev/null; } \
	  || echo "bubblewrap is missing: install it (Debian: apt-get install bubblewrap; conda: conda install bubblewrap)"

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	touch $@
