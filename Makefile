# Everything a person does with this project; each command sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NOX := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/nox

.PHONY: help demo test test-long test-themes test-edges test-all screenshots docs lint format messages bench licences dist clean

help: ## Say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1	/' | expand -t 20

demo: $(VENV)/.ready .node/.ready ## Tell the story on SQLite, then serve the admin (EXIT=1: stop after the story)
	@mkdir -p .build
	@DATABASE_URL=sqlite:///$(CURDIR)/.build/demo.sqlite3 $(BIN)/python manage.py demo $(if $(EXIT),--exit)

test: $(VENV)/.ready .node/.ready ## Test on SQLite, and on PostgreSQL, MariaDB and Redis where they answer
	@$(BIN)/python -m tests.everywhere $(ARGS)

test-long: $(VENV)/.ready .node/.ready ## Test what takes minutes: CHAOS_SECONDS=120 each
	@NIGHTLY=1 $(BIN)/python -m tests.everywhere $(ARGS)

test-themes: $(VENV)/.ready ## Test every screen under other skins, and each Django, in environments of their own
	@$(BIN)/python -m pytest -q -m nightly tests/test_themes.py

test-edges: $(VENV)/.ready .node/.ready ## Test the oldest of everything on SQLite, and the newest on PostgreSQL
	@$(NOX) -s oldest newest $(if $(ARGS),-- $(ARGS))

test-all: $(VENV)/.ready .node/.ready ## Test every Python with every Django on every database: hours
	@$(NOX)

lint: $(VENV)/.ready .node/.ready ## Check style, types, migrations and architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --project pyproject.toml
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --fail-level WARNING
	$(BIN)/python -m pytest -q -p no:randomly tests/test_architecture.py
	@$(BIN)/python -m tests.beauty

format: $(VENV)/.ready ## Mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: $(VENV)/.ready ## Bring the translations up to date with the texts, and compile them
	cd webhook_delivery && ../$(BIN)/python -m django makemessages --no-wrap --no-location -l de -l ar
	cd webhook_delivery && ../$(BIN)/python -m django compilemessages

screenshots: $(VENV)/.ready .node/.ready ## Draw every screen of the console anew, into docs/console
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group screenshots
	@$(BIN)/python -m pytest -q -n 0 tests/browser/pictures.py

docs: $(VENV)/.ready ## Write the reference anew from the code, and build the pages into .build/docs
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	@$(BIN)/python -m docs.generate
	@$(BIN)/python -m sphinx -W --keep-going -n -q docs .build/docs
	@echo "Built: .build/docs/index.html"

bench: $(VENV)/.ready ## Measure side by side (ONLY=drain,tls: some; QUICK=1: one short run of each; RUNS=9)
	@benchmarks/set-up
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick) $(if $(RUNS),--runs $(RUNS))

licences: $(VENV)/.ready ## List the licences of all that is installed with it, in docs/licences.md
	@$(BIN)/python -m tests.licences

dist: $(VENV)/.ready ## Build what is published, the same each time, and list what it needs
	@rm -rf dist .build/installed
	@$(BIN)/python -m build --outdir dist
	@$(BIN)/twine check --strict dist/*
	@$(BIN)/check-wheel-contents dist/*.whl
	@$(PYTHON) -m venv --without-pip .build/installed
	@$(BIN)/python -m pip --python .build/installed/bin/python install --quiet --disable-pip-version-check "$$(ls dist/*.whl)[api,metrics,redis,schema]"
	@$(BIN)/cyclonedx-py environment .build/installed/bin/python --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.cdx.json
	@ls -l dist

clean: ## Remove what was set up
	rm -rf $(VENV) .node .build dist *.egg-info .coverage*

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group mariadb 2>.mysqlclient.log && rm .mysqlclient.log \
		|| echo "mysqlclient was not built, so MariaDB will not be tested: it needs a C compiler, pkg-config and libmariadb-dev (.mysqlclient.log)."
	@touch $@

.node/.ready: tests/node/package.json | $(VENV)/.ready
	@echo "Fetching GitHub's webhook examples, a second verifier, axe and the schemas of AsyncAPI …"
	@mkdir -p .node && cp tests/node/package.json .node/
	@$(BIN)/npm install --prefix .node --no-package-lock --no-audit --no-fund --silent
	@touch $@
