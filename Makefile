PYTHON ?= python3
PORT ?= 8000
SIMULATOR_PORT ?= 8001
DEMO_PASSWORD ?=
VENV = .venv/bin

.PHONY: demo demo-reset test bench lock browser

# Marks of a finished install; a changed lock file installs again.
.venv/demo: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(VENV)/pip install --quiet --require-hashes -r requirements.txt
	@touch $@

.venv/dev: requirements-dev.txt
	$(PYTHON) -m venv .venv
	$(VENV)/pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@ .venv/demo

demo: export STREAMWARDEN_ENV = development
demo: export DATABASE_URL = sqlite:///var/demo.sqlite3
demo: export HUAWEICLOUD_SDK_PROJECT_ID = 0f3c5a7e9b1d4c2f8a6e0b4d2c1f3a5e
demo: export HUAWEICLOUD_SDK_REGION = ap-southeast-3
demo: export WORKSPACE_ENDPOINT = http://127.0.0.1:$(SIMULATOR_PORT)
demo: export WORKSPACE_AUTH_TOKEN = simulator-token
demo: .venv/demo
	@$(VENV)/python manage.py demo --port $(PORT) --simulator-port $(SIMULATOR_PORT) --password "$(DEMO_PASSWORD)"

demo-reset:
	rm -f var/demo.sqlite3*

UV = $(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" pyproject.toml

lock: .venv/dev
	$(UV) --output-file requirements.txt
	$(UV) --extra dev --constraint requirements.txt --output-file requirements-dev.txt
