# One command each, from an empty checkout: the first one builds $(VENV), later ones only look at its stamps.
#
#   make mnist EPOCHS=1                     every variable given to `make mnist` or `make sentiment` becomes a flag:
#   make sentiment FULL=yes                 EPOCHS=1 is --epochs 1, BATCH_SIZE=32 is --batch-size 32, and the value
#   make sentiment PREDICT="a fine film"    `yes` is the bare flag
#   make test ARGS="-m task4_1"             ARGS goes to pytest as it is
#   make notebook EXERCISE=3_training       the exercise that is opened as a notebook
#   make test-cuda SIMULATOR=0              on the machine's GPU, and not on a simulated one
#   make test PYTHON=python3.12             the interpreter that a new environment is made with
#
# Data is looked for where MINITORCH_DATA says, if it is set (docs/installation.md).

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
SIMULATOR ?= 1

BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN := $(BIN)/python
# On every core, but for what takes a minute or less. More than four would wait for one another's kernels to be compiled.
PYTEST := $(RUN) -m pytest -n auto --maxprocesses 4 --dist worksteal

given := $(sort $(foreach v,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(v)))),$(v))))
lower = $(shell echo '$(subst _,-,$(1))' | tr '[:upper:]' '[:lower:]')
quoted = '$(subst ','\'',$(1))'
flag = --$(call lower,$(1))$(if $(filter-out yes,$($(1))), $(call quoted,$($(1))))
FLAGS = $(foreach v,$(filter-out ARGS PYTHON SIMULATOR VENV,$(given)),$(call flag,$(v)))

.PHONY: help app screenshots mnist sentiment exercises notebook test test-project test-app test-browser test-parity test-compiler test-exercises test-cuda lint docs bench doctor clean

help:
	@echo 'make app          look inside: the Streamlit app in the browser'
	@echo 'make mnist        train LeNet on handwritten digits'
	@echo 'make sentiment    train a CNN on film reviews'
	@echo 'make exercises    run the exercises, small, as scripts and as notebooks'
	@echo 'make notebook EXERCISE=1_tensors  open one of them in JupyterLab'
	@echo 'make test         run the tests'
	@echo 'make test-project  run the tests of the scripts and of the benchmarks'
	@echo 'make test-app     run the tests of the app'
	@echo 'make test-browser  open the app in Chromium, and use it'
	@echo 'make test-parity  compare with PyTorch, operation by operation'
	@echo 'make test-compiler  test the compiler, and compare compiled programs with eager steps'
	@echo 'make test-exercises  test the tools and the networks of the exercises'
	@echo 'make test-cuda    run the CUDA kernels on a simulated GPU, and compile them'
	@echo 'make lint         check style and types'
	@echo 'make docs         build the site with the guides and the reference in build/site'
	@echo 'make screenshots  take the pictures of the app in README and the guides anew'
	@echo 'make bench        measure speed beside PyTorch'
	@echo 'make doctor       say what this machine has and what it lacks'
	@echo 'make clean        remove $(VENV)'

app: $(VENV)/.has-app
	$(RUN) -m streamlit run project/app.py

mnist: $(VENV)/.has-train
	$(RUN) project/run_mnist_multiclass.py $(FLAGS)

sentiment: $(VENV)/.has-words
	$(RUN) project/run_sentiment.py $(FLAGS)

exercises: $(VENV)/.has-exercises
	$(RUN) exercises/check.py $(ARGS)

notebook: $(VENV)/.has-notebook
	$(RUN) exercises/notebooks.py --open $(EXERCISE)

test: $(VENV)/.has-dev
	$(PYTEST) $(addprefix --ignore=tests/,project benchmarks parity compiler exercises cuda app browser) $(ARGS)

test-project: $(VENV)/.has-dev
	$(PYTEST) tests/project tests/benchmarks $(ARGS)

test-app: $(VENV)/.has-app-tests
	$(RUN) -m pytest tests/app project/interface $(ARGS)

test-browser: $(VENV)/.has-browser
	$(RUN) -m pytest tests/browser $(ARGS)

test-parity: $(VENV)/.has-parity
	$(RUN) -m pytest tests/parity $(ARGS)

test-compiler: $(VENV)/.has-dev
	$(PYTEST) tests/compiler $(ARGS)

test-exercises: $(VENV)/.has-dev
	$(RUN) -m pytest tests/exercises $(ARGS)

test-cuda: $(VENV)/.has-cuda
	NUMBA_ENABLE_CUDASIM=$(SIMULATOR) $(RUN) -m pytest -n 2 --dist loadfile tests/cuda $(ARGS)

lint: $(VENV)/.has-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	PATH="$(abspath $(BIN)):$$PATH" $(RUN) -m pyright

docs: $(VENV)/.has-docs
	$(RUN) -m doctest docs/builder/hooks.py docs/builder/docstrings.py
	$(RUN) -m mkdocs build --strict

screenshots: $(VENV)/.has-browser
	SCREENSHOTS=build/screenshots $(RUN) -m pytest tests/browser
	$(RUN) docs/screenshots.py build/screenshots

bench: $(VENV)/.has-parity
	$(RUN) benchmarks/run.py $(ARGS)

doctor: $(VENV)/.has-train
	$(RUN) -m minitorch doctor

clean:
	rm -rf $(VENV)

# A stamp a set of extras: a target that needs little does not wait for PyTorch.
$(VENV)/.has-train: extras = digits,extra
$(VENV)/.has-words: extras = extra,glove
$(VENV)/.has-exercises: extras = digits,exercises
$(VENV)/.has-notebook: extras = digits,exercises,notebook
$(VENV)/.has-app: extras = app,digits,glove
$(VENV)/.has-dev: extras = dev
$(VENV)/.has-app-tests: extras = app,dev,digits
$(VENV)/.has-docs: extras = docs
$(VENV)/.has-browser: extras = app,browser,dev,digits
$(VENV)/.has-parity: extras = dev,parity
$(VENV)/.has-cuda: extras = dev,cuda,exercises

$(VENV)/.has-%: pyproject.toml $(VENV)/.made
	$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[$(extras)]"
	@touch $@

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "MiniTorch needs Python 3.11 or newer and $(PYTHON) is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@
