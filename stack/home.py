"""ASSAY_HOME: the directory that holds everything the embedded stack writes."""

import errno
import fcntl
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError

LOG_BYTES = 10 * 1024 * 1024
"""A log longer than this is put aside (``<part>.log.1``) when its part starts; the one before that is dropped."""

LOCK_TRIES = 10
"""Readers hold the lock for an instant to see whether it is free, so a start does not give up at the first try."""


@dataclass(frozen=True)
class Home:
    """The places below ASSAY_HOME."""

    root: Path

    @property
    def logs(self) -> Path:
        """One log per part."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """The lock and the state of a running stack."""
        return self.root / "run"

    @property
    def secrets(self) -> Path:
        """Generated passwords, one per file."""
        return self.root / "secrets"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's files."""
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        """Valkey's configuration."""
        return self.root / "valkey"

    @property
    def celery(self) -> Path:
        """What beat and Flower remember."""
        return self.root / "celery"

    @property
    def lock_file(self) -> Path:
        """Locked while a stack runs here; holds its pid."""
        return self.run / "lock"

    @property
    def state_file(self) -> Path:
        """What runs and where; there only while a stack runs."""
        return self.run / "stack.json"

    def log(self, part: str) -> Path:
        """The log of one part."""
        return self.logs / f"{part}.log"


def open_home(root: Path) -> Home:
    """Make ASSAY_HOME and its directories, readable by their owner alone.

    Root's home may be passed through (0711): PostgreSQL runs as another user below it. Nothing in it can be listed
    and each directory below is closed.

    Raises:
        StackError: it cannot be made or written.
    """
    home = Home(Path(os.path.abspath(root.expanduser())))
    try:
        home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.root.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for directory in (home.logs, home.run, home.secrets, home.valkey, home.celery):
            directory.mkdir(mode=0o700, exist_ok=True)
            directory.chmod(0o700)
        probe = home.run / f".write-{os.getpid()}"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        raise StackError(unwritable(home.root, error)) from None
    return home


def unwritable(path: Path, error: OSError) -> str:
    """The sentence for a failed write below ASSAY_HOME."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"There is no space left on the disk of {path}; free some, or set ASSAY_HOME to another disk."
    reason = (error.strerror or str(error)).lower()
    return f"Cannot write to {path} ({reason}); set ASSAY_HOME to a directory that you may write."


def need_space(path: Path, megabytes: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        StackError: less than that is free.
    """
    free = shutil.disk_usage(path).free // (1024 * 1024)
    if free < megabytes:
        raise StackError(
            f"Only {free} MB are free on the disk of {path}, and {megabytes} MB are needed; "
            "free some, or set ASSAY_HOME to another disk."
        )


def secret(home: Home, name: str) -> str:
    """The password called ``name``, made at its first use; safe in a URL."""
    file = home.secrets / name
    if file.exists():
        return file.read_text().strip()
    value = secrets.token_urlsafe(24)
    write_private(file, value)
    return value


def write_private(file: Path, text: str) -> None:
    """Write a whole file or nothing, readable by its owner alone.

    Raises:
        StackError: the disk is full or the directory cannot be written.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StackError(unwritable(file.parent, error)) from None


def open_log(home: Home, part: str) -> int:
    """A descriptor that appends to the part's log, after putting an overlong one aside."""
    log = home.log(part)
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


class HomeLock:
    """The right to run a stack in one ASSAY_HOME; the kernel drops it with the process, whatever ends that."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take it.

        Raises:
            StackError: another process holds it; the sentence names its pid.
        """
        descriptor = os.open(self._home.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        for _ in range(LOCK_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)
                continue
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            self._descriptor = descriptor
            return
        holder = os.pread(descriptor, 20, 0).decode() or "unknown"
        os.close(descriptor)
        raise StackError(
            f"Assay already runs in {self._home.root} (pid {holder}); "
            "use that one, stop it, or set ASSAY_HOME to another directory."
        )

    def release(self) -> None:
        """Give it back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_is_held(home: Home) -> bool:
    """Whether some process runs a stack here."""
    try:
        descriptor = os.open(home.lock_file, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
