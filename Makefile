# fastact: every target does its own set-up in .venv; `make demo` and `make test` are the two to know.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed.stamp
PEERS_INSTALLED := $(VENV)/peers.stamp
SOURCES := setup.py pyproject.toml $(wildcard csrc/*.[chd]* fastact/*.pyx fastact/*.pxd)
OUT ?= out

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(INSTALLED): $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[lab,test,lint,prove]'
	touch $@

$(PEERS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	touch $@

demo: $(INSTALLED) ## vanishing and exploding gradients seen and fixed: pictures in out/ (under two minutes)
	$(BIN)/fastact lab --out $(OUT)

article: $(INSTALLED) ## the pictures of docs/vanishing-and-exploding.md, measured anew (about a minute)
	$(BIN)/python tools/article.py

test: $(INSTALLED) ## every test, on every ISA of this machine
	$(BIN)/python -m pytest -n 2 -q

fuzz: export EXAMPLES ?= 20000
fuzz: $(INSTALLED) ## tests of any input, with EXAMPLES=20000 new ones each (minutes; what fails is kept and tried first next time)
	$(BIN)/python -m pytest -n 2 -q -m hypothesis --hypothesis-profile=fuzz

CHOSEN = $(if $(OPS),--ops $(OPS)) $(if $(ISA),--isa $(ISA)) $(if $(STRIDE),--stride $(STRIDE))

prove: $(INSTALLED) ## every kernel on every float32: docs/accuracy.md (hours; goes on where it was stopped; OPS=, ISA=, STRIDE=)
	$(BIN)/python -m prove $(CHOSEN)

prove-neon: STRIDE ?= 1021
prove-neon: $(INSTALLED) ## a sample of the same for the NEON kernels, emulated (minutes; needs a cross compiler and QEMU)
	$(BIN)/python -m prove --what neon $(CHOSEN)

bench: $(INSTALLED) ## every kernel against pure Python and NumPy: JSON and a table of ratios in out/
	mkdir -p $(OUT)
	$(BIN)/python -m pytest bench -q --benchmark-json=$(OUT)/bench.json
	$(BIN)/python -m bench.summary $(OUT)/bench.json

bench-step: $(INSTALLED) ## a whole training step against NumPy, scikit-learn and PyTorch: a table, and a picture in out/
	mkdir -p $(OUT)
	$(BIN)/python -m bench.train_step --json $(OUT)/step.json --figure $(OUT)/step.png

bench-peers: $(PEERS_INSTALLED) ## the activations against torch, jax, numba, onnxruntime, ... (an hour; goes on where it was stopped; ARGS=--quick: minutes)
	$(BIN)/python -m bench --pictures --file $(OUT)/peers.json $(ARGS)

bench-axis: $(PEERS_INSTALLED) ## what works along an axis against torch, jax, scipy, onnxruntime (minutes; ARGS=softmax: one theme)
	$(BIN)/python -m bench.along --file $(OUT)/along.json $(ARGS)

lint: $(INSTALLED) ## ruff, clang-format, mypy and the stubs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror csrc/*.c csrc/*.h prove/*.c prove/*.h bench/*.c
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest fastact --mypy-config-file pyproject.toml --ignore-missing-stub --concise

format: $(INSTALLED) ## rewrite Python and C in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i csrc/*.c csrc/*.h prove/*.c prove/*.h bench/*.c

generate: $(INSTALLED) ## rewrite the stubs, docs/activations and the list in the README
	$(BIN)/python tools/generate.py

clean: ## remove everything that was built
	rm -rf $(VENV) build dist out *.egg-info fastact/*.so fastact/*.c

.PHONY: help demo article test fuzz prove prove-neon bench bench-step bench-peers bench-axis lint format generate clean
