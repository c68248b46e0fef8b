# The environment may also be given as variables: make run PORT=9000 DATA_DIR=/srv/countonme

VENV := .venv
BIN := $(VENV)/bin
# What running needs, and what all the rest does.
RUNS := $(VENV)/runs
INSTALLED := $(VENV)/installed
BENCH_VENV := .data/bench/venv
BENCH_INSTALLED := $(BENCH_VENV)/installed
NEXT_VENV := .data/next/venv
CLIENT := clients/typescript
# Empty without Node.
CLIENT_INSTALLED := $(if $(shell command -v npm),$(CLIENT)/node_modules/installed)
# The newest Python on this machine, also pyenv's: the newest Django may need a newer one.
PYENV := $(lastword $(sort $(wildcard $(HOME)/.pyenv/versions/3.1[2-9].*/bin/python)))
NEXT_PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 $(PYENV) $(BIN)/python; do \
	$$python -c '' 2>/dev/null && echo $$python && break; done)
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# Evaluated only if .venv must be made.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$python && break; done)
# Empty if the interpreter of .venv was removed or replaced.
USABLE := $(shell $(BIN)/python -c 'import pip; $(NEW_ENOUGH)' 2>/dev/null && echo yes)
# Installed in its own environment, because it has as many dependencies as the project.
PIP_AUDIT := pip-audit==2.10.1
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PIP_COMPILE := CUSTOM_COMPILE_COMMAND="make requirements" $(BIN)/pip-compile -q --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

.DEFAULT_GOAL := help
.PHONY: help run seed test test-next attack bench check types node audit requirements clean FORCE

help: ## Print this
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 14

run: $(RUNS) ## Serve on http://HOST:PORT (127.0.0.1:8000), data in DATA_DIR (.data) or at DATABASE_URL
	@exec $(BIN)/python -m countonme.server.serve

seed: $(RUNS) ## Make three demo phones, each with a month of meals; ARGS go to seed_demo
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py start_catalog
	@$(BIN)/python manage.py seed_demo --devices 3 $(ARGS)

test: $(INSTALLED) $(CLIENT_INSTALLED) ## Run all tests in parallel, on the embedded PostgreSQL or DATABASE_URL; ARGS go to pytest
	@exec $(BIN)/python -m pytest -n auto $(ARGS)

test-next: $(INSTALLED) ## Run the tests on the newest Django for which this machine has a Python; ARGS go to pytest
	@test -x $(NEXT_VENV)/bin/python || $(NEXT_PYTHON) -m venv $(NEXT_VENV)
	@$(NEXT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade django
	@present=$$($(BIN)/python -c 'import django; print(django.VERSION[:2])'); \
	if $(NEXT_VENV)/bin/python -c "import django, sys; sys.exit(django.VERSION[:2] > $$present)"; then \
		echo "Nothing to try: $$($(NEXT_VENV)/bin/python --version) takes no newer Django."; exit; \
	fi; \
	grep -v '^django==' requirements-dev.txt >$(NEXT_VENV)/requirements.txt && \
	$(NEXT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $(NEXT_VENV)/requirements.txt && \
	exec $(NEXT_VENV)/bin/python -m pytest -n auto $(ARGS)

attack: $(INSTALLED) ## Start servers and attack them, for minutes: crashes, races, abuse; ARGS go to pytest
	@exec $(BIN)/python -m pytest attacks $(ARGS)

bench: $(INSTALLED) $(BENCH_INSTALLED) ## Compare the server with FastAPI and a minimal server; writes bench/results.json; ARGS: see docs/performance.md
	@exec $(BIN)/python -m bench $(ARGS)

# mypy's plugin and some commands read the settings.
check: export SECRET_KEY = $(shell $(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))' 2>/dev/null)
check: $(INSTALLED) $(CLIENT_INSTALLED) ## Lint, formatting, types, imports, migrations, deployment settings, schema, the client's types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	DEBUG=false HTTPS=true ALLOWED_HOSTS=api.example.org CORS_ORIGINS=https://example.org \
		CSRF_TRUSTED_ORIGINS=https://api.example.org NUM_PROXIES=1 \
		DATABASE_URL=postgresql://countonme@db.example.org/countonme \
		$(BIN)/python manage.py check --deploy --fail-level WARNING
	@mkdir -p $(CLIENT)/build
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --format openapi-json --file $(CLIENT)/build/openapi.json
	@if [ -f "$(CLIENT_INSTALLED)" ]; then \
		npm --prefix $(CLIENT) run --silent types -- --check || { \
			echo "The TypeScript client's types are stale: run make types." >&2; exit 1; }; \
	else \
		echo "Node or its packages are missing: whether the TypeScript client's types are stale was not checked."; \
		test -z "$(CI)"; \
	fi

types: export SECRET_KEY = $(shell $(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))' 2>/dev/null)
types: $(INSTALLED) node ## Generate the TypeScript client's types from the API's document
	@mkdir -p $(CLIENT)/build
	@$(BIN)/python manage.py spectacular --validate --fail-on-warn --format openapi-json --file $(CLIENT)/build/openapi.json
	@npm --prefix $(CLIENT) run --silent types

node: $(or $(CLIENT_INSTALLED),FORCE) ## Install what the TypeScript client's tests and types need, by npm
	@test -f "$(CLIENT_INSTALLED)" || { echo "Node 20 or newer is missing, or npm found no packages." >&2; exit 1; }

audit: $(INSTALLED) ## Check the pinned requirements for known vulnerabilities, over the network
	@test -x $(VENV)/audit/bin/pip-audit || { $(BIN)/python -m venv $(VENV)/audit && \
		$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_AUDIT); }
	$(VENV)/audit/bin/pip-audit --strict --progress-spinner off --disable-pip --no-deps -r requirements.txt

requirements: $(INSTALLED) ## Compile every requirements*.txt from its requirements*.in; ARGS, e.g. --upgrade, go to pip-compile
	$(PIP_COMPILE) $(ARGS) requirements.in
	$(PIP_COMPILE) $(ARGS) requirements-run.in
	$(PIP_COMPILE) $(ARGS) requirements-dev.in
	$(PIP_COMPILE) $(ARGS) bench/requirements.in

clean: ## Remove what can be made again; never DATA_DIR
	rm -rf $(CLIENT)/node_modules $(CLIENT)/dist $(CLIENT)/build
	rm -rf $(VENV) staticfiles .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find . -name '.git' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is removed first and made last, so that an interrupted install starts again.
$(RUNS): requirements-run.txt $(if $(USABLE),,FORCE)
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || { \
		echo "Python 3.11 or newer is missing: install it, or name it with PYTHON=." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python's venv module is missing: install it (on Debian: python3-venv)." >&2; exit 1; }
	@echo "Installing Django, PostgreSQL and what else running needs into $(VENV), once …"
	@if [ -n "$(USABLE)" ] && [ -f $@ ]; then rm $@; else $(PYTHON) -m venv --clear $(VENV); fi
	@$(PIP_INSTALL) -r requirements-run.txt
	@touch $@

$(INSTALLED): requirements-dev.txt $(RUNS)
	@echo "Installing what tests and checks need into $(VENV), once …"
	@rm -f $@
	@$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@

# The packages of the FastAPI peer, apart from the project's own.
$(BENCH_INSTALLED): bench/requirements.txt | $(INSTALLED)
	@$(BIN)/python -m venv --clear $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@touch $@

# Python's tests and checks do without it: where no registry can be reached, they say what they left out.
$(CLIENT)/node_modules/installed: $(CLIENT)/package-lock.json
	@echo "Installing what the TypeScript client's tests need into $(CLIENT)/node_modules, once …"
	@rm -f $@
	@npm ci --prefix $(CLIENT) --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && touch $@ || \
		echo "The packages of $(CLIENT) could not be installed."

FORCE:
