"""The ground of these measurements: a PostgreSQL and a Valkey of their own, the scripted provider, worker processes."""

import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from pydantic import SecretStr

from benchmarks.crew import running, said
from schemas.settings import Settings
from stack.home import Home, open_home, secret
from stack.model import CHECKOUT
from stack.part import Part
from stack.plan import worker_environment
from stack.processes import worker_part
from stack.up import running_services
from storage.database import Database
from storage.migrate import migrate


@dataclass(frozen=True)
class Ground:
    """Where everything is.

    Attributes:
        admin_url: the database as a superuser: for filling and for looking.
        app_url: as the role of Assay's processes.
        database_pid: of the server.
    """

    home: Home
    settings: Settings
    admin_url: str
    app_url: str
    broker_url: str
    database_pid: int

    @contextmanager
    def database(self) -> Iterator[Database]:
        """As Assay's processes open it."""
        database = Database(self.app_url)
        try:
            yield database
        finally:
            database.close()

    @contextmanager
    def broker(self) -> Iterator["redis.Redis"]:
        """A client of the broker."""
        with redis.Redis.from_url(self.broker_url, decode_responses=True) as client:
            yield client

    def environment(self, provider: "Provider | None" = None, **settings: Any) -> dict[str, str]:
        """The environment of a process that works here, with these settings in place of the defaults."""
        known: dict[str, Any] = {"anthropic_base_url": provider.url if provider else None}
        return worker_environment(self.settings.model_copy(update=known | settings), self.home)

    @contextmanager
    def provider(self, *, least: float, most: float) -> Iterator["Provider"]:
        """The scripted provider in a process of its own; each answer takes from ``least`` to ``most`` seconds."""
        part = Part(
            name="provider",
            command=[sys.executable, "-m", "benchmarks.engine.provider", str(least), str(most)],
            ready=lambda words: "http://" in words,
            environment=self.environment(),
            cwd=CHECKOUT,
        )
        before = self.home.log("provider")
        offset = before.stat().st_size if before.exists() else 0
        with running([part], self.home):
            url, started = said(self.home, "provider", offset).split()[:2]
            yield Provider(url, float(started))

    @contextmanager
    def workers(self, provider: "Provider", processes: int, **settings: Any) -> Iterator[Sequence[int]]:
        """Worker processes as ``assay up`` starts them; gives their pids."""
        environment = self.environment(provider, worker_processes=processes, **settings)
        names = [f"worker-{number}" for number in range(1, processes + 1)]
        with running([worker_part(name, self.home, environment, 5) for name in names], self.home) as pids:
            yield pids


@dataclass(frozen=True)
class Provider:
    """Directions to the provider's process.

    Attributes:
        started: a ``time.monotonic()`` value.
    """

    url: str
    started: float

    def now(self) -> float:
        """Seconds since its start, as in its arrivals."""
        return time.monotonic() - self.started

    def arrivals(self) -> list[tuple[float, int]]:
        """When each call came, in seconds since the provider's start, and the status that it got."""
        return [(row["at"], row["status"]) for row in self._ask("GET", "_arrivals", None)]

    def limit(self, **limit: object) -> None:
        """Accept no more than this from now on."""
        self._ask("POST", "_limit", limit)

    def storm(self, plays: Sequence[Mapping[str, Any]]) -> None:
        """Every call gets one of these plays, in turn, until :meth:`calm`."""
        self._ask("POST", "_storm", {"plays": list(plays)})

    def calm(self) -> None:
        """The storm is over."""
        self._ask("DELETE", "_storm", None)

    def _ask(self, method: str, path: str, body: object) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


@contextmanager
def prepared() -> Iterator[Ground]:
    """Servers and an empty database, gone afterwards. Call it in the main thread."""
    with tempfile.TemporaryDirectory(prefix="assay-bench-", ignore_cleanup_errors=True) as folder:
        settings = _settings(Path(folder))
        home = open_home(settings.home)
        with running_services(settings, ("postgres", "valkey")) as state:
            known, pids = state.connections, {part.name: part.pid or 0 for part in state.parts}
            assert known.database_admin_url is not None
            assert known.redis_url is not None
            app_url = migrate(known.database_admin_url, app_password=secret(home, "postgres-app"))
            assert app_url is not None
            addresses = {"database_url": app_url, "redis_url": known.redis_url, "broker_url": known.redis_url}
            yield Ground(
                home=home,
                settings=settings.model_copy(update={**addresses, "anthropic_api_key": SecretStr("benchmark")}),
                admin_url=known.database_admin_url,
                app_url=app_url,
                broker_url=known.redis_url,
                database_pid=pids["postgres"],
            )


def _settings(folder: Path) -> Settings:
    """The defaults, whatever the environment says: what is measured must not depend on the shell it is started in."""
    defaults: dict[str, Any] = {
        name: field.get_default() for name, field in Settings.model_fields.items() if name != "home"
    }
    return Settings(**defaults | {"home": folder})
