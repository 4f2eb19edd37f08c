# `make help` lists what there is. Needs Python 3.11 or newer with pip; everything else is installed
# into the virtual environment .venv, which is made once and brought up to date when pyproject.toml changes.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := logs/demo
# Two test processes, one thread each; JOBS=8 for a machine with more cores.
JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

.DEFAULT_GOAL := help
.PHONY: help install demo engine test test-all check docs bench bench-gpu lock wheel wheel-without-weights clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1|/' | awk -F'|' '{ printf "  make %-22s %s\n", $$1, $$2 }'

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): some minutes the first time"

# The stamps: an environment is installed again only when pyproject.toml is newer than its stamp.
$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

# With the tools: version by version as in requirements/dev.lock, and no other file than those of its hashes; but
# for PyTorch, whose build is the machine's.
$(VENV)/.installed-dev: pyproject.toml requirements/dev.lock requirements/torch.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps --requirement requirements/dev.lock
	$(BIN)/python -m pip install --quiet --requirement requirements/torch.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	@touch $(VENV)/.installed $@

install: $(VENV)/.installed-dev  ## the environment with all tools of development

# Short pieces and high rates: what seven minutes are enough for. The sentence is in no training text.
demo: $(VENV)/.installed  ## train small networks for text and for handwriting, at most eight minutes in all
	rm -rf $(DEMO)
	$(BIN)/python -m graves_lm.train run_dir=$(DEMO)/text logger=csv trainer.max_steps=400 \
	    trainer.val_check_interval=200 trainer.max_time=00:00:01:30 data.length=50 data.eval_batch_size=64 \
	    optimizer.lr=6e-3 optimizer.warmup_steps=50
	$(BIN)/python -m graves_lm.train experiment=demo run_dir=$(DEMO)/handwriting logger=csv \
	    trainer.max_time=00:00:05:30
	@for temperature in 0.5 1.0; do \
	    echo; echo "--- text at temperature $$temperature"; \
	    $(BIN)/python -m graves_lm.sample ckpt=$(DEMO)/text/checkpoints/best.ckpt \
	        prompt="The " sampler.temperature=$$temperature sampler.length=300 || exit 1; \
	done
	@echo; echo "--- handwriting"
	@$(BIN)/python -m graves_lm.sample ckpt=$(DEMO)/handwriting/checkpoints/best.ckpt \
	    text="we can write what you say" width=13 one_hand=false sampler.candidates=16 \
	    page.height=null page.width=90 page.margin_top=8 page.margin_bottom=6 \
	    output=$(DEMO)/handwriting.svg

# What the browser runs, from C: by the compiler that ziglang brings, without threads and without a system. Beside it
# lies a hash of its sources, so that a test sees when it is older than they are.
ENGINE ?= src/graves_lm/web/engine/engine.wasm
PYTHON_OF_ENGINE ?= $(BIN)/python
NATIVE := src/graves_lm/nn/native
ENGINE_C := $(addprefix src/graves_lm/web/engine/, alone.c engine.c) $(addprefix $(NATIVE)/, lines.c pen.c step.c)
ENGINE_H := $(addprefix $(NATIVE)/, end.h functions.h lines.h matrix.h noise.h pen.h rows.h step.h team.h)
engine:  ## the page's engine in WebAssembly (needs ziglang: pip install -e '.[engine]')
	$(PYTHON_OF_ENGINE) -m ziglang cc -target wasm32-wasi -mexec-model=reactor -O3 -msimd128 -fno-math-errno -s \
	    -Wl,--strip-all -I $(NATIVE) $(ENGINE_C) -o $(ENGINE)
	chmod 644 $(ENGINE)
	cat $(ENGINE_C) $(ENGINE_H) | sha256sum | cut -d " " -f 1 > $(ENGINE:.wasm=.sources)

test: $(VENV)/.installed-dev  ## the fast tests; those on licensed corpora run where the data is
	$(PYTEST) -m 'not slow and not gpu'

test-all: $(VENV)/.installed-dev  ## every test, the slow ones and those for a GPU too
	$(PYTEST)

check: $(VENV)/.installed-dev  ## lint, format and types
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

# Runs the notebook and imports the package; reaches no network. Any warning, and so any broken link, is an error.
docs: $(VENV)/.installed-dev  ## the documentation as a site, in build/docs/index.html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

bench: $(VENV)/.installed  ## time the LSTM, training and drawing against the bare matrix products; growth
	$(BIN)/python benchmarks/lstm.py
	$(BIN)/python benchmarks/lstm_cuda.py
	$(BIN)/python benchmarks/train_character.py
	$(BIN)/python benchmarks/train_pen.py
	$(BIN)/python benchmarks/sample_synthesis.py
	$(BIN)/python benchmarks/under_load.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/startup.py

bench-gpu: $(VENV)/.installed-dev  ## all that needs a GPU: tests, operators, training, sampling, a step's parts
	$(BIN)/python -m pytest -q -m gpu
	$(BIN)/python benchmarks/lstm_cuda.py
	$(BIN)/python benchmarks/train_cuda.py
	$(BIN)/python benchmarks/profile_step.py --task synthesis stroke character

# UPGRADE=--upgrade takes the newest releases; without it, those of the locks stay where pyproject.toml allows them.
UPGRADE ?=
COMPILE = build/uv/bin/uv pip compile --quiet $(UPGRADE) --universal --python-version 3.11 --generate-hashes \
    --no-header --constraint requirements/torch.txt --no-emit-package torch --excludes requirements/of_torch.txt

lock:  ## resolve the dependencies anew, into requirements/*.lock
	$(PYTHON) -m venv build/uv
	build/uv/bin/pip install --quiet 'uv>=0.9'
	$(COMPILE) --extra dev --output-file requirements/dev.lock pyproject.toml
	$(COMPILE) --constraint requirements/dev.lock --no-emit-package triton \
	    --output-file requirements/run.lock pyproject.toml

wheel: $(VENV)/.installed-dev  ## the package as a wheel, with the trained weights, in dist/
	$(BIN)/python -m build --no-isolation --wheel --outdir dist

wheel-without-weights: $(VENV)/.installed-dev  ## the same without them, under the MIT licence alone, in dist/without-weights/
	GRAVES_LM_WITHOUT_WEIGHTS=1 $(BIN)/python -m build --no-isolation --wheel --outdir dist/without-weights

clean:  ## remove the environment, builds and tool caches; data/ and logs/ stay
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache src/*.egg-info
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
