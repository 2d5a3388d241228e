# The two commands of the README are `make run` and `make test`; both do all set-up themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup run test bugs faults image terraform lint types imports unit metrics dashboard audit lock clean
.DEFAULT_GOAL := help

# Without bytecode on disk every process compiles all it imports: a worker takes 5 s of CPU time to start instead of 2.
unexport PYTHONDONTWRITEBYTECODE

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## make the environment in .venv from the lock file

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' \
	  || { echo "Soulcaster needs Python 3.11 or newer; $$($(PYTHON) --version) is at '$(PYTHON)'. Say: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv \
	  || { echo "The packages could not be fetched; see the lines above. A network and PyPI are needed the first time."; exit 1; }
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## start everything here: Kafka, Redis, worker, web, launcher, demo data
	@exec $(BIN)/soulcaster run

test: setup lint types imports ## everything CI runs, on the real Kafka and Redis
	$(BIN)/python -m soulcaster.dev.kafka_classes
	$(BIN)/python -m pytest --numprocesses 4 --dist loadgroup

bugs: setup ## all small repositories with a bug and a scripted agent; `make test` has one an ecosystem
	SOULCASTER_TEST_ALL_BUGS=1 $(BIN)/python -m pytest --durations 0 tests/fixer/bugs

image: setup ## build the image here with buildah, as root, and run the demo in its containers
	deploy/image/build.sh soulcaster
	SOULCASTER_TEST_IMAGE=1 $(BIN)/python -m pytest --durations 0 tests/deploy/test_image.py

terraform: setup ## write the tables in terraform's pages anew, and check terraform/ with everything that knows it
	$(BIN)/python -m tests.support.terraform
	SOULCASTER_TEST_TERRAFORM=1 $(BIN)/python -m pytest --durations 5 tests/deploy -k terraform

faults: setup ## every fault with each of its seeds, for hours; goes on where it was stopped, writes docs/reliability.md
	$(BIN)/python -m tests.faults

fixer-image: setup ## build the image of jobs on that image, and use its tools in the sandbox of a job
	deploy/image/build.sh soulcaster fixer
	SOULCASTER_TEST_IMAGE=1 $(BIN)/python -m pytest --durations 0 tests/deploy/test_fixer_image.py

lint: setup ## ruff: style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy --strict
	$(BIN)/mypy

imports: setup ## the direction of imports
	$(BIN)/lint-imports

metrics: setup ## write docs/metrics.md anew from soulcaster/telemetry/metrics.py
	$(BIN)/python -m soulcaster.telemetry > docs/metrics.md

dashboard: setup ## write deploy/grafana/soulcaster.json anew from dashboard.py beside it
	$(BIN)/python -m deploy.grafana.dashboard

audit: setup ## known vulnerabilities in the locked packages; asks api.osv.dev, fails where that does not answer
	$(BIN)/python -m deploy.audit

COMPILE := $(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --quiet

lock: setup ## make the lock files anew from pyproject.toml; the image has the releases that the tests have
	$(COMPILE) pyproject.toml --extra local --group dev --output-file requirements.lock
	$(COMPILE) pyproject.toml --constraint requirements.lock --output-file deploy/image/requirements.lock
	$(COMPILE) --group build --constraint requirements.lock --output-file deploy/image/build.lock

clean: ## remove the environment and the local data
	@# buildah leaves its store mounted
	@test ! -d .cache/image || findmnt --raw --noheadings --output TARGET | grep "^$(CURDIR)/.cache/image/" | sort -r | xargs --no-run-if-empty umount
	rm -rf $(VENV) .soulcaster .cache
