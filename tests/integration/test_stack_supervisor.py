"""Parts are kept alive, stopped in order, and never left behind: with real processes and real signals."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil
import psycopg
import pytest

from schemas.settings import Settings
from stack.account import Account, reaching
from stack.errors import StackError
from stack.home import open_home
from stack.part import Part, launched
from stack.state import StackState, read_state
from stack.supervisor import Supervisor
from stack.up import running_services

CHECKOUT = Path(__file__).resolve().parents[2]
Fact = TypeVar("Fact")

PROGRAM = """
import signal, sys
from pathlib import Path
from schemas.settings import Settings
from stack.up import running_services
with running_services(Settings(home=Path(sys.argv[1])), sys.argv[2].split(",")):
    print("ready", flush=True)
    while True:
        signal.pause()
"""
DUMMY = 'trap "echo $0 stopped >> {notes}; exit 0" TERM; echo here; while :; do sleep 0.05; done'
STUBBORN = 'trap "" TERM; echo here; while :; do sleep 0.05; done'


@pytest.fixture
def home() -> Iterator[Path]:
    """An ASSAY_HOME of the test's own, short enough and passable for any user."""
    with tempfile.TemporaryDirectory(prefix="assay-") as directory:
        yield Path(directory)


def until(happens: Callable[[], bool]) -> None:
    """Wait for it; the suite's own timeout bounds the wait."""
    while not happens():
        time.sleep(0.02)


def dummy(name: str, script: str) -> Part:
    """A part that is a shell script; it is ready once it has written something."""
    return Part(name=name, command=["/bin/sh", "-c", script, name], ready=lambda said: "here" in said)


@contextmanager
def start_program(home: Path, services: str, account: Account | None = None) -> Iterator["subprocess.Popen[str]"]:
    """A process of its own that runs these services, once they are ready; the test ends it, or its failure does."""
    command = [sys.executable, "-c", PROGRAM, str(home), services]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    if account is not None:
        command = launched(command, signal.SIGKILL, account)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd="/"
    ) as program:
        try:
            assert program.stdout is not None
            line = program.stdout.readline()
            assert line == "ready\n", line + program.stdout.read()
            yield program
        except BaseException:
            program.kill()
            raise


def pids(state: StackState) -> list[int]:
    """Of the parts."""
    return [part.pid for part in state.parts if part.pid is not None]


def family(root: int) -> list[psutil.Process]:
    """All processes below this one."""
    found: list[psutil.Process] = psutil.Process(root).children(recursive=True)
    return found


def of_living(processes: list[psutil.Process], ask: Callable[[psutil.Process], Fact]) -> set[Fact]:
    """What is found of those that still run: a server ends the process of a connection when that is closed."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found.add(ask(process))
    return found


def test_kill_9_of_the_supervisor_leaves_nobody(home: Path) -> None:
    """When the supervisor is killed, every process below it ends, and the next start finds the data."""
    with start_program(home, "postgres,valkey") as program:
        state = read_state(home)
        assert state is not None
        assert state.connections.database_admin_url is not None
        with psycopg.connect(state.connections.database_admin_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        children = family(program.pid)
        assert {"postgres", "valkey-server"} <= of_living(children, lambda child: child.name())
        program.kill()
    _gone, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert read_state(home) is None
    with running_services(Settings(home=home), ["postgres"], echo=lambda _line: None) as again:
        assert again.connections.database_admin_url is not None
        with psycopg.connect(again.connections.database_admin_url) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_sigterm_stops_and_clears_up(home: Path) -> None:
    """SIGTERM ends the program with the status of SIGTERM, its services with it, and the state file is gone."""
    with start_program(home, "valkey") as program:
        children = family(program.pid)
        program.terminate()
        assert program.wait() == 128 + signal.SIGTERM
    assert [child for child in children if child.is_running()] == []
    assert not (home / "run" / "stack.json").exists()


def test_a_second_start_is_refused(home: Path) -> None:
    """While one stack runs in a home, another one is refused with a sentence that names the pid."""
    with start_program(home, "valkey") as program:
        with (
            pytest.raises(StackError, match=f"already runs in .* \\(pid {program.pid}\\)"),
            running_services(Settings(home=home), ["valkey"]),
        ):
            pass
        state = read_state(home)
        assert state is not None
        assert state.pid == program.pid
        program.terminate()


def test_the_last_started_stops_first(home: Path) -> None:
    """Groups are stopped in the reverse of the order in which they were started."""
    notes = home / "notes"
    script = DUMMY.format(notes=notes)
    with Supervisor(open_home(home), lambda _line: None) as supervisor:
        supervisor.start(partial(dummy, "first", script))
        supervisor.start(partial(dummy, "second", script))
        supervisor.start(partial(dummy, "third", script))
    assert notes.read_text().split("\n")[:3] == ["third stopped", "second stopped", "first stopped"]


def test_a_dead_part_is_started_again(home: Path) -> None:
    """A part that is killed comes back with another pid at the same address, and people are told."""
    said: list[str] = []
    with running_services(Settings(home=home), ["postgres"], echo=said.append) as state:
        killed = state.parts[0].pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)

        def is_back() -> bool:
            now = read_state(home)
            return now is not None and now.parts[0].state == "up" and now.parts[0].pid != killed

        until(is_back)
        url = state.connections.database_admin_url
        assert url is not None
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert any(line.startswith("postgres ended (signal 9") for line in said)
    assert "postgres is up again." in said


def test_a_part_that_ends_itself_is_started_again(home: Path) -> None:
    """A part that ends with a status of its own, as a deaf worker does, comes back, each time after a longer pause."""
    go, starts = home / "go", home / "starts"
    ends_twice = (
        f"echo x >> {starts}; echo here; "
        f"while [ ! -e {go} ] || [ $(wc -l < {starts}) -gt 2 ]; do sleep 0.05; done; exit 75"
    )
    said: list[str] = []
    with Supervisor(open_home(home), said.append) as supervisor:
        supervisor.start(partial(dummy, "worker-1", ends_twice))
        supervisor.announce()
        go.touch()
        until(lambda: starts.read_text().count("x") == 3 and supervisor.state().parts[0].state == "up")
    ended = [line for line in said if line.startswith("worker-1 ended (exit status 75")]
    assert [line.partition("it starts again in ")[2] for line in ended] == ["0.5 s.", "1 s."]


def test_a_hard_stop_does_not_wait(home: Path) -> None:
    """A part that ignores SIGTERM is killed at once when the stop is hurried."""
    with Supervisor(open_home(home), lambda _line: None) as supervisor:
        supervisor.start(partial(dummy, "stubborn", STUBBORN))
        [pid] = pids(supervisor.state())
        stopping = threading.Thread(target=supervisor.stop)
        stopping.start()
        until(lambda: supervisor.stopping)
        assert psutil.pid_exists(pid)
        supervisor.stop_hard()
        stopping.join()
    assert not psutil.pid_exists(pid)


def test_a_part_that_cannot_start_is_one_sentence(home: Path) -> None:
    """A part that ends at once is tried again with a new make, then given up with its last words."""
    makes: list[str] = []

    def make() -> Part:
        makes.append("made")
        return dummy("broken", "echo no such thing; exit 3")

    with (
        pytest.raises(StackError, match=r"broken does not start: exit status 3, last line of its log: no such thing"),
        Supervisor(open_home(home), lambda _line: None) as supervisor,
    ):
        supervisor.start(make)
    assert len(makes) > 1
    assert not (home / "run" / "stack.json").exists()


def test_half_made_files_are_made_anew(home: Path) -> None:
    """What an interrupted first start left is thrown away and made again."""
    draft = home / "postgres" / "data.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18")
    with running_services(Settings(home=home), ["postgres"], echo=lambda _line: None) as state:
        assert state.parts[0].state == "up"
    assert not draft.exists()


def test_a_pid_file_that_names_a_stranger_does_not_block(home: Path) -> None:
    """After a kill -9 the old pid may belong to another program; that does not keep PostgreSQL from starting."""
    with running_services(Settings(home=home), ["postgres"], echo=lambda _line: None):
        left = (home / "postgres" / "data" / "postmaster.pid").read_text()
    account = (home / "postgres").stat()
    options = {} if os.geteuid() != 0 else {"user": account.st_uid, "group": account.st_gid}
    with subprocess.Popen(["/bin/sleep", "1000"], **options) as stranger:  # type: ignore[call-overload]
        file = home / "postgres" / "data" / "postmaster.pid"
        file.write_text("\n".join([str(stranger.pid), *left.splitlines()[1:]]) + "\n")
        os.chown(file, account.st_uid, account.st_gid)
        with running_services(Settings(home=home), ["postgres"], echo=lambda _line: None) as state:
            assert state.parts[0].state == "up"
        assert stranger.poll() is None
        stranger.kill()


def test_an_ordinary_user_can_run_it() -> None:
    """Started by a user who is not root, everything runs as and belongs to that user, twice over the same files."""
    base = Path(tempfile.mkdtemp(prefix="assay-"))
    user, account = os.getuid(), None
    if user == 0:
        nobody = pwd.getpwnam("nobody")
        user = nobody.pw_uid
        # The interpreter and the checkout may lie where only root may enter.
        account = reaching(user, nobody.pw_gid, Path(sys.executable).resolve().parent, CHECKOUT)
        os.chown(base, user, nobody.pw_gid)
    try:
        for _ in range(2):
            with start_program(base, "postgres,valkey", account) as program:
                assert of_living(family(program.pid), lambda child: child.uids().real) == {user}
                assert {path.stat().st_uid for path in (base / "postgres").iterdir()} == {user}
                program.terminate()
    finally:
        shutil.rmtree(base)
