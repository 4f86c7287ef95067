# Featherweight. `make demo` and `make test` do all the set-up themselves.
PYTHON ?= python3.11
BIN := .venv/bin
DEMO := 01-magnitude-pruning

.PHONY: demo test bench attacks-stock build lessons lab bubblewrap chromium

demo: .venv/ready bubblewrap             ## a simulated class of one assignment: make demo DEMO=01-magnitude-pruning
	@if command -v bwrap >/dev/null; then $(BIN)/autograder demo $(DEMO); else $(BIN)/autograder demo $(DEMO) --isolation process; fi

test: .venv/ready bubblewrap chromium
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

# Install a Debian package whose command is missing, where that is allowed; otherwise say how.
define package
	@command -v $(1) >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(2) >/dev/null; } \
	  || echo "$(2) is missing: install it (Debian: apt-get install $(2)$(3))"
endef

bubblewrap:
	$(call package,bwrap,bubblewrap,; conda: conda install bubblewrap)

chromium:
	$(call package,chromium,chromium)

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	touch $@
