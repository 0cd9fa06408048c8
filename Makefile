# The two commands: `make report` and `make test`. Each sets up what it needs: uv if it is missing, then the locked
# environment in .venv. Needs Python 3.11 or newer and PyPI, nothing else.
PYTHON ?= python3
PROFILE ?= demo
UV := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)

# Where the environment forbids keeping compiled modules, each of a dozen processes would compile torch for seconds.
unexport PYTHONDONTWRITEBYTECODE

PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# These begin first, so that no process ends long after the others.
LONGEST := tests/report/test_build.py tests/study/test_engine.py tests/test_beside.py

.PHONY: report publish test check campaign lowest environment lint notebooks lab clean

report: $(UV)  ## run what is missing and write reports/own/PROFILE (PROFILE=demo, cpu or paper)
	$(UV) run --locked prunekit report $(PROFILE)

publish: $(UV)  ## the same into reports/PROFILE, which git keeps
	$(UV) run --locked prunekit report $(PROFILE) --out reports/$(PROFILE)

test: $(UV)  ## the whole test suite, in as many processes as there are cores, four at most
	$(UV) run --locked pytest $(PARALLEL) --durations=30 $(LONGEST) tests

check: lint  ## style, types, and the short tests of what has changed: a minute at most
	$(UV) run --locked pytest $(PARALLEL) -m "not long" $$($(PYTHON) scripts/touched_tests.py)

campaign: $(UV)  ## kill, damage and misuse it for half an hour, and count what it survives
	PRUNEKIT_CAMPAIGN=1 $(UV) run --locked pytest -m slow

lowest: $(UV)  ## the tests with the oldest versions that pyproject allows, in an environment of their own
	$(UV) venv --clear .tools/lowest
	$(UV) pip install --python .tools/lowest --resolution lowest-direct -e '.[cluster,report]' 'pytest>=8.3' 'nbval>=0.11'
	PATH=$(CURDIR)/.tools/lowest/bin:$$PATH .tools/lowest/bin/python -m pytest -m "not slow"

environment: $(UV)  ## what the other commands need, in .venv; they make it too
	$(UV) sync --locked

lint: $(UV)  ## style, types, and that imports go one way
	$(UV) run --locked ruff check .
	$(UV) run --locked ruff format --check .
	$(UV) run --locked mypy
	$(UV) run --locked lint-imports --no-cache

notebooks: $(UV)  ## execute the committed notebooks in place, from the published records
	$(UV) run --locked python scripts/execute_notebooks.py

lab: $(UV)  ## explore in JupyterLab
	$(UV) run --locked jupyter lab notebooks

clean:  ## remove the environment and the tools, keep runs and reports
	rm -rf .venv .tools

.tools/bin/uv:
	$(PYTHON) scripts/get_uv.py .tools
