PYTHON ?= python3
PORT ?= 8000
SIMULATOR_PORT ?= 8001
DEMO_PASSWORD ?=
PYTHONS ?= python3.11 python3.12 python3.13
TESTS ?=
# A worker takes tests from another one when it has none left: files stay together, and no worker ends early.
PARALLEL = -n auto --dist worksteal
VENV = .venv/bin

.PHONY: demo demo-reset test test-all test-crash bench lock messages browser postgresql gettext

# Each file marks a finished install. A changed lock file installs again.
.venv/demo: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(VENV)/pip install --quiet --require-hashes -r requirements.txt
	@touch $@

.venv/dev: requirements-dev.txt
	$(PYTHON) -m venv .venv
	$(VENV)/pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@ .venv/demo

# An environment for one version of Python: `make .venv-3.12/dev PYTHON=python3.12`.
.venv-%/dev: requirements-dev.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

demo: export STREAMWARDEN_ENV = development
demo: export DATABASE_URL = sqlite:///var/demo.sqlite3
demo: export STREAMWARDEN_CHECKPOINTS = var/demo-checkpoints
demo: export STREAMWARDEN_PROJECTS = dashboard/demo/projects.toml
demo: export DEMO_SIMULATOR = http://127.0.0.1:$(SIMULATOR_PORT)
demo: .venv/demo
	@$(VENV)/python manage.py demo --port $(PORT) --simulator-port $(SIMULATOR_PORT) --password "$(DEMO_PASSWORD)"

demo-reset:
	rm -rf var/demo.sqlite3* var/demo-checkpoints

# Every check. The checks that are quickest to run and to repair come first.
test: export STREAMWARDEN_ENV = development
test: .venv/dev browser postgresql gettext
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/djlint --quiet --check --lint templates
	$(VENV)/mypy
	$(VENV)/lint-imports
	$(VENV)/python manage.py makemigrations --check --dry-run
	STREAMWARDEN_ENV=production STREAMWARDEN_ALLOWED_HOSTS=streamwarden.example STREAMWARDEN_PROXIES=1 \
		STREAMWARDEN_SECRET_KEY=$$($(VENV)/python -c 'import secrets; print(secrets.token_urlsafe(64))') \
		STREAMWARDEN_AUDIT_KEY=$$($(VENV)/python -c 'import secrets; print(secrets.token_urlsafe(64))') \
		$(VENV)/python manage.py check --deploy --fail-level WARNING
	$(VENV)/pytest $(PARALLEL) --cov --cov-report=term
	$(VENV)/python -m tests.postgres pytest $(PARALLEL) $(ON_POSTGRESQL)

# The tests on each installed version of PYTHONS. TESTS selects some of them.
test-all: export STREAMWARDEN_ENV = development
test-all: browser postgresql gettext
	@passed=; failed=; missing=; \
	for python in $(PYTHONS); do \
		if ! version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); then \
			missing="$$missing $$python"; \
		elif $(MAKE) --no-print-directory .venv-$$version/dev PYTHON=$$python && .venv-$$version/bin/pytest $(PARALLEL) $(TESTS); then \
			passed="$$passed $$python"; \
		else \
			failed="$$failed $$python"; \
		fi; \
	done; \
	echo "Passed:$${passed:- none}. Failed:$${failed:- none}. Not installed:$${missing:- none}."; \
	test -n "$$passed" && test -z "$$failed"

# Tests that depend on the database: the ledger, its pages, the inventory, the write path, and both after a kill.
ON_POSTGRESQL = tests/audit tests/activity tests/inventory \
	$(addprefix tests/crash/, test_archive.py test_crash.py test_settlers.py test_two_hosts.py test_worker.py) \
	$(addprefix tests/server_groups/, test_fail_closed.py test_observing.py test_services.py test_settling.py)

# All cases of the tests that `make test` samples: each point of the write path with each kind of change, several seeds and
# both databases; each way of tampering with a long ledger; each outcome, each order of edits, each page and width; an hour
# of reads of 10,000 groups.
test-crash: export STREAMWARDEN_ENV = development
test-crash: export CRASH_SEEDS ?= 4
test-crash: .venv/dev browser postgresql
	$(VENV)/pytest $(PARALLEL) tests/crash
	$(VENV)/python -m tests.postgres pytest $(PARALLEL) tests/crash
	LEDGER_ROWS=100000 $(VENV)/pytest $(PARALLEL) tests/audit/integrity/test_tampering.py
	ALL_CASES=1 $(VENV)/pytest $(PARALLEL) tests/browser/test_reach.py tests/inventory/test_calls.py \
		$(addprefix tests/server_groups/, test_conflicts.py test_outcome_table.py)

# Chromium for the browser tests: an installed one, else from the package manager.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null && exit 0; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; \
	elif command -v apt-get >/dev/null && command -v sudo >/dev/null; then \
		sudo apt-get update -qq && sudo apt-get install -y -qq chromium; \
	else \
		echo "The browser tests need Chromium: install the package 'chromium' and run this again." >&2; exit 1; \
	fi

postgresql:
	@command -v initdb >/dev/null && exit 0; ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && exit 0; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql; \
	elif command -v apt-get >/dev/null && command -v sudo >/dev/null; then \
		sudo apt-get update -qq && sudo apt-get install -y -qq postgresql; \
	else \
		echo "The tests need PostgreSQL: install the package 'postgresql' and run this again." >&2; exit 1; \
	fi

# xgettext for the check of the translation catalogue.
gettext:
	@command -v xgettext >/dev/null && exit 0; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq gettext; \
	elif command -v apt-get >/dev/null && command -v sudo >/dev/null; then \
		sudo apt-get update -qq && sudo apt-get install -y -qq gettext; \
	else \
		echo "The tests need xgettext: install the package 'gettext' and run this again." >&2; exit 1; \
	fi

# Write the texts of pages and messages to the translation catalogue. The date would change with every run.
messages: export STREAMWARDEN_ENV = development
messages: .venv/dev gettext
	$(VENV)/python manage.py makemessages --locale en --no-location --no-obsolete --ignore tests --ignore var
	sed -i.old '/^"POT-Creation-Date:/d' dashboard/locale/en/LC_MESSAGES/django.po
	rm dashboard/locale/en/LC_MESSAGES/django.po.old

bench: export STREAMWARDEN_ENV = development
bench: .venv/dev
	$(VENV)/python -m tests.benchmarks

UV = $(VENV)/uv pip compile --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" pyproject.toml

lock: .venv/dev
	$(UV) --output-file requirements.txt
	$(UV) --extra dev --constraint requirements.txt --output-file requirements-dev.txt
