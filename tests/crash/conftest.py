import itertools
import os
import shutil
from pathlib import Path

import psycopg
import pytest

from tests.crash.dashboards import NewDatabase, environment, run

UNUSED_ADDRESS = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> NewDatabase:
    """Create databases with all tables and one administrator. `python -m tests.postgres` selects PostgreSQL."""
    server = os.environ.get("TEST_DATABASE_URL", "")
    return databases_on(server) if server else databases_in(tmp_path_factory.mktemp("crash"))


def databases_in(folder: Path) -> NewDatabase:
    """Return a function that creates SQLite databases in a folder."""
    numbers = itertools.count()
    run(environment(f"sqlite:///{folder}/template.sqlite3", UNUSED_ADDRESS), do="prepare")

    def make() -> str:
        name = f"{folder}/{next(numbers)}.sqlite3"
        shutil.copy(f"{folder}/template.sqlite3", name)
        return f"sqlite:///{name}"

    return make


def databases_on(server: str) -> NewDatabase:
    """Return a function that creates PostgreSQL databases. Other test processes may use the same server."""
    numbers = itertools.count()
    prefix = f"crash_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    template = _create(server, f"{prefix}_template")
    run(environment(template, UNUSED_ADDRESS), do="prepare")
    return lambda: _create(server, f"{prefix}_{next(numbers)}", f"TEMPLATE {prefix}_template")


def _create(server: str, name: str, options: str = "") -> str:
    user, _, path = server.removeprefix("postgres://").partition("@/")
    with psycopg.connect(host=path.rpartition("/")[0], user=user, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} {options}")
    return f"{server.rpartition('/')[0]}/{name}"
