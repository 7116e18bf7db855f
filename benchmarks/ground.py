"""The common ground of all systems: one PostgreSQL with a database for each side, one Valkey, one stub provider."""

import os
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr
from sqlalchemy import create_engine

from benchmarks.crew import running, said
from benchmarks.look import looking
from benchmarks.simple_job import metadata
from schemas.settings import Settings
from stack.home import Home, open_home, secret
from stack.model import CHECKOUT
from stack.part import Part
from stack.plan import worker_environment
from stack.up import running_services
from storage.database import sqlalchemy_url
from storage.migrate import migrate

LATENCY_SECONDS = 0.2
PROCESSES = 2
SLOTS = 50
SIMPLE_DATABASE: Final = "simple"
ASSAY_DATABASE: Final = "assay"


@dataclass(frozen=True)
class Ground:
    """Where everything is.

    Attributes:
        settings: those of Assay's processes.
        simple_url: the database of the two simple systems, as a superuser.
        admin_url: Assay's database, as a superuser: for looking, not for working.
        broker_pid, database_pid: the servers' processes.
    """

    home: Home
    settings: Settings
    simple_url: str
    admin_url: str
    stub_url: str
    broker_pid: int
    database_pid: int

    def assay_environment(self) -> dict[str, str]:
        """What the stack gives its workers."""
        return worker_environment(self.settings, self.home)

    def simple_environment(self) -> dict[str, str]:
        """The same for the simple systems, with a database and a broker's number of their own."""
        broker = (self.settings.redis_url or "").removesuffix("0") + "1"
        # The celery command prefers BROKER_URL to what its application says.
        own = {"DATABASE_URL": self.simple_url, "REDIS_URL": broker, "BROKER_URL": broker}
        return self.assay_environment() | own

    def through(self, database_ports: Mapping[str, int]) -> "Ground":
        """The same ground, with the databases behind other ports (those of counting proxies)."""
        behind = self.settings.database_url or ""
        moved = self.settings.model_copy(update={"database_url": _with_port(behind, database_ports[ASSAY_DATABASE])})
        simple = _with_port(self.simple_url, database_ports[SIMPLE_DATABASE])
        return replace(self, settings=moved, simple_url=simple)

    def forget_calls(self) -> None:
        """Empty the stub's record of calls, which it keeps in memory."""
        request = urllib.request.Request(f"{self.stub_url}/_reset", data=b"{}", method="POST")
        with urllib.request.urlopen(request, timeout=10) as response:
            response.read()


@contextmanager
def prepared() -> Iterator[Ground]:
    """Servers and databases, new and empty, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="assay-bench-", ignore_cleanup_errors=True) as folder:
        settings = _settings(Path(folder))
        home = open_home(settings.home)
        with running_services(settings, ("postgres", "valkey")) as state, running([_stub()], home):
            known, pids = state.connections, {part.name: part.pid or 0 for part in state.parts}
            assert known.database_admin_url is not None
            stub_url = said(home, "stub").split()[0]
            yield Ground(
                home=home,
                settings=_connected(settings, home, known.database_admin_url, known.redis_url or "", stub_url),
                simple_url=_simple_database(known.database_admin_url),
                admin_url=known.database_admin_url,
                stub_url=stub_url,
                broker_pid=pids["valkey"],
                database_pid=pids["postgres"],
            )


def _settings(folder: Path) -> Settings:
    """The defaults, whatever the environment says: what is measured must not depend on the shell it is started in."""
    defaults: dict[str, Any] = {
        name: field.get_default() for name, field in Settings.model_fields.items() if name != "home"
    }
    return Settings(**defaults | {"home": folder, "worker_processes": PROCESSES, "worker_slots": SLOTS})


def _connected(settings: Settings, home: Home, admin_url: str, redis_url: str, stub_url: str) -> Settings:
    return settings.model_copy(
        update={
            "database_url": migrate(admin_url, app_password=secret(home, "postgres-app")),
            "redis_url": redis_url,
            "broker_url": redis_url,
            "anthropic_base_url": stub_url,
            "anthropic_api_key": SecretStr("benchmark"),
        }
    )


def _simple_database(admin_url: str) -> str:
    with looking(admin_url) as look:
        look.run(f"CREATE DATABASE {SIMPLE_DATABASE}")
    url = f"{admin_url.rpartition('/')[0]}/{SIMPLE_DATABASE}"
    engine = create_engine(sqlalchemy_url(url))
    metadata.create_all(engine)
    engine.dispose()
    return url


def _stub() -> Part:
    return Part(
        name="stub",
        command=[sys.executable, "-m", "stack.scripted", "--port", "0", "--latency", str(LATENCY_SECONDS)],
        ready=lambda words: "http://" in words,
        environment={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )


def _with_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    login, _, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}@{place.partition(':')[0]}:{port}"))
