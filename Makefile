# What must pass: `make check` before every commit, `make slow` before a release. `.ci/run` runs both.
UV ?= uv
RUN = $(UV) run

.PHONY: help check lint test slow notebooks models recovery calibration bench constraints
help:                ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 16

check: lint test     ## everything that is quick: format, lint, types, import rules, tests that are not slow

lint:                ## format, lint, types, import rules
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) lint-imports

test:                ## tests that are not slow, with the docstrings' examples and their numpydoc form
	$(RUN) pytest

slow:                ## sampling, notebooks, browser, wheel
	$(RUN) pytest -m slow --no-loadscope-reorder  # chains fill both cores, what is between them one; notebooks first

notebooks:           ## every notebook, top to bottom
	$(RUN) pytest -m slow tests/test_notebooks.py

models:              ## the tables and figures of models/README.md
	$(RUN) python tests/models_page.py

recovery:            ## simulate, fit, get the truth back, many times, every model with both engines (hours)
	$(RUN) python tests/recovery.py

calibration:         ## simulation-based calibration of the structured sampler (about an hour)
	$(RUN) python tests/calibration.py

bench:               ## our engines on the benchmark problems (20 minutes); tests/benchmarks/peers/run.sh runs the others
	$(RUN) python tests/benchmarks/ours.py
	$(RUN) python tests/benchmarks/scaling.py
	$(RUN) python tests/benchmarks/trials.py

constraints:         ## write the set of versions that the tests passed with
	$(UV) pip freeze --exclude-editable | grep -E '^[A-Za-z0-9_.-]+==' > constraints.txt
