import itertools
import os
import shutil
from collections.abc import Callable

import psycopg
import pytest

from tests.crash.dashboards import environment, run

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Makes a database with the tables and one administrator; on PostgreSQL under `python -m tests.postgres`."""
    folder, server = tmp_path_factory.mktemp("crash"), os.environ.get("TEST_DATABASE_URL", "")
    made = itertools.count()
    worker = f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"

    def on_sqlite() -> str:
        name = f"{folder}/{next(made)}.sqlite3"
        shutil.copy(f"{folder}/template.sqlite3", name)
        return f"sqlite:///{name}"

    def on_postgresql(template: str = f"template_{worker}") -> str:
        name = f"crash_{worker}_{next(made)}"
        _execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
        return _named(server, name)

    if not server:
        run(environment(f"sqlite:///{folder}/template.sqlite3", NOWHERE), do="prepare")
        return on_sqlite
    _execute(server, f"CREATE DATABASE template_{worker}")
    run(environment(_named(server, f"template_{worker}"), NOWHERE), do="prepare")
    return on_postgresql


def _named(server: str, name: str) -> str:
    return f"{server.rpartition('/')[0]}/{name}"


def _execute(server: str, statement: str) -> None:
    user, _, path = server.removeprefix("postgres://").partition("@/")
    with psycopg.connect(host=path.rpartition("/")[0], user=user, dbname="postgres", autocommit=True) as connection:
        connection.execute(statement)
