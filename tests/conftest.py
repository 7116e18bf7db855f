"""Real services for every test that asks: PostgreSQL, Valkey, a scripted provider over HTTP, worker processes.

Nothing here reaches beyond this machine: the provider's address is always the scripted one's.
"""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from cli.main import main
from jobs.tenancy import create_tenant
from schemas.ids import new_id
from schemas.settings import Settings
from stack.scripted import ScriptedProvider
from stack.up import running_services
from storage.database import Database
from storage.migrate import migrate
from tests.api_world import serving
from tests.house import Assay, House, Workers

_OURS = ("DATABASE_URL", "DATABASE_ADMIN_URL", "REDIS_URL", "BROKER_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")


@pytest.fixture(scope="session", autouse=True)
def _no_outside() -> Iterator[None]:
    """Settings of the person who runs the tests do not reach them, and no test can spend money."""
    saved = {name: os.environ.pop(name) for name in list(os.environ) if name in _OURS or name.startswith("ASSAY_")}
    yield
    os.environ.update(saved)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """PostgreSQL, migrated, Valkey and a scripted provider, for the whole session."""
    home = tmp_path_factory.mktemp("house")
    with running_services(Settings(home=home), echo=lambda _line: None) as state, ScriptedProvider() as provider:
        known = state.connections
        assert known.database_admin_url is not None
        assert known.broker_url is not None
        app_url = migrate(known.database_admin_url, app_password="only-for-tests")
        assert app_url is not None
        # Nothing here crashes the database: no commit needs to wait for the disk.
        with psycopg.connect(known.database_admin_url, autocommit=True) as connection:
            connection.execute("ALTER ROLE ALL SET synchronous_commit = off")
        yield House(home, known.database_admin_url, app_url, known.broker_url, provider)


@pytest.fixture
def database(house: House) -> Iterator[Database]:
    """The database as the application role."""
    database = Database(house.app_url)
    yield database
    database.close()


@pytest.fixture
def tenant(database: Database) -> str:
    """A tenant of this test's own."""
    tenant_id = f"t{new_id().hex[-12:]}"
    create_tenant(database, tenant_id, "of one test")
    return tenant_id


@pytest.fixture
def clean(house: House) -> None:
    """No job of an earlier test is left to run, the broker is empty and has learned nothing of the provider, whose script and
    invoice are empty."""
    house.forget_jobs()
    with redis.Redis.from_url(house.broker_url) as broker:
        broker.flushall()
    house.provider.reset()


@pytest.fixture
def workers(house: House, clean: None, tmp_path: Path) -> Iterator[Workers]:
    """Starts real worker processes and ends them with the test."""
    with Workers(house, tmp_path) as workers:
        yield workers


@pytest.fixture
def nothing_counted(house: House) -> Iterator[None]:
    """Counting begins now."""
    forget = (
        "TRUNCATE tallies, alerts; UPDATE tally_progress SET counted_until = now() - interval '1 minute';"
        "UPDATE duties SET holder = NULL, held_until = NULL"
    )
    house.run(forget)
    yield
    house.run(forget)


@pytest.fixture(scope="module")
def port(house: House) -> Iterator[int]:
    """Of the web, served for the tests of one file."""
    with serving(house) as port:
        yield port


@pytest.fixture
def assay(house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Assay:
    """The `assay` command in this process: a process of its own takes half a second to start."""

    def run(*words: str, stdin: bytes = b"", **environment: str) -> "subprocess.CompletedProcess[str]":
        known = {"ASSAY_URL": "", "ASSAY_API_KEY": "", **environment}
        for name, value in house.environment(**known).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["assay", *words])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(words, ended.value.code, said.out, said.err)

    return run
