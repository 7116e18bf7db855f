"""PostgreSQL and Valkey of one run, with files of their own, so that each can be killed, frozen and started again."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis

from stack.home import Home, open_home
from stack.part import Part, signal_group, spawn
from stack.postgres import make_database, postgres_part
from stack.scripted import ScriptedProvider
from stack.valkey import valkey_part
from storage.migrate import migrate
from tests.house import House, eventually

SNAPSHOT = "dump.rdb"
"""What Valkey loads when it starts, if it is there."""


class Server:
    """One server: the same address and the same files, whatever happens to its processes.

    ``busy`` is for whoever does something to it: two faults of a mix take turns.
    """

    def __init__(self, part: Part, home: Home, spawner: ThreadPoolExecutor) -> None:
        assert part.url is not None
        self.url = part.url
        self.busy = threading.RLock()
        self._part = part
        self._home = home
        self._spawner = spawner
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._part.before()
        # Always the same thread forks: the kernel ends a server when the thread that forked it ends.
        self._process = self._spawner.submit(spawn, self._part, self._home).result()
        eventually(lambda: self._part.ready(""), f"{self._part.name} answers", seconds=self._part.ready_seconds)

    def stop(self, how: signal.Signals) -> None:
        """Send the signal that ends it and wait until it has ended."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(timeout=60)
        signal_group(self._process, signal.SIGKILL)
        self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """No process of it does anything while the block runs; its sockets stay open."""
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        processes = [main, *main.children(recursive=True)]
        for process in processes:
            _send(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(processes):
                _send(process, signal.SIGCONT)

    def children(self) -> list[psutil.Process]:
        """The processes that the server has started: PostgreSQL's backends and helpers."""
        assert self._process is not None
        children: list[psutil.Process] = psutil.Process(self._process.pid).children(recursive=True)
        return children

    def close(self, how: signal.Signals) -> None:
        """Stop it if it runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self.stop(how)


@dataclass(frozen=True)
class Grounds:
    """Where a run takes place.

    Attributes:
        house: addresses, and the scripted provider with its invoice.
        postgres_superuser_url: of the ``postgres`` database, which stays open when that of the jobs is closed.
        snapshot: the file that Valkey loads when it starts.
        clock: the compiled clock shim.
    """

    house: House
    postgres: Server
    valkey: Server
    postgres_superuser_url: str
    snapshot: Path
    clock: Path

    def broker(self) -> "redis.Redis":
        """A connection to the broker."""
        return redis.Redis.from_url(self.house.broker_url, socket_timeout=20, decode_responses=True)


@contextmanager
def grounds(root: Path) -> Iterator[Grounds]:
    """Servers, migrated, and a scripted provider; everything ends with the block."""
    home = open_home(root)
    with ThreadPoolExecutor(1, thread_name_prefix="spawner") as spawner, ScriptedProvider() as provider:
        postgres = Server(postgres_part(home), home, spawner)
        valkey = Server(valkey_part(home), home, spawner)
        try:
            postgres.start()
            valkey.start()
            make_database(postgres.url)
            app_url = migrate(postgres.url, app_password="only-for-chaos")
            assert app_url is not None
            yield Grounds(
                house=House(root, postgres.url, app_url, valkey.url, provider),
                postgres=postgres,
                valkey=valkey,
                postgres_superuser_url=f"{postgres.url.rpartition('/')[0]}/postgres",
                snapshot=home.valkey / SNAPSHOT,
                clock=_compiled_clock(root),
            )
        finally:
            valkey.close(signal.SIGKILL)
            postgres.close(signal.SIGQUIT)


def _compiled_clock(root: Path) -> Path:
    source, library = Path(__file__).with_name("clock.c"), root / "clock.so"
    compile_it: list[str | Path] = [
        os.environ.get("CC", "cc"),
        "-shared",
        "-fPIC",
        "-O1",
        "-Wall",
        "-Werror",
        "-o",
        library,
        source,
    ]
    subprocess.run(compile_it, check=True)
    return library


def _send(process: psutil.Process, number: signal.Signals) -> None:
    act: Callable[[signal.Signals], None] = process.send_signal
    try:
        act(number)
    except psutil.NoSuchProcess:
        return
