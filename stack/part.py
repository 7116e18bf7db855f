"""One part of the stack: a process to keep alive."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack.account import Account
from stack.home import Home, open_log

NOT_FOR_SERVERS = ("ANTHROPIC_API_KEY", "DATABASE_URL", "DATABASE_ADMIN_URL", "REDIS_URL", "BROKER_URL")

LAUNCH = Path(__file__).with_name("launch.py")


def server_environment() -> dict[str, str]:
    """Our environment without the keys and addresses that a server has no use for."""
    return {name: value for name, value in os.environ.items() if name not in NOT_FOR_SERVERS}


@dataclass(frozen=True)
class Part:
    """What to run and how to know that it does.

    Attributes:
        name: unique in the stack; also the name of its log.
        command: the program by absolute path, and its arguments. No secrets: every user of the machine can read them.
        url: where it answers, with its password; None where nobody connects to it.
        environment: the whole environment of the process.
        ready: whether it does its work; gets what the process has written to its log so far. Returns quickly.
        before: runs before each start of the process.
        ready_seconds: how long it may take until ``ready``; then it is killed and tried again.
        stop_signal: asks it to end in good order; after ``stop_seconds`` it is killed.
        death_signal: what the kernel sends it when the supervisor dies (Linux).
        account: the user to run as; None = ours.
    """

    name: str
    command: list[str]
    ready: Callable[[str], bool]
    environment: Mapping[str, str] = field(default_factory=server_environment)
    url: str | None = None
    before: Callable[[], None] = lambda: None
    ready_seconds: float = 60
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15
    death_signal: signal.Signals = signal.SIGKILL
    account: Account | None = None
    cwd: Path = Path("/")


def launched(command: list[str], death: signal.Signals, account: Account | None = None) -> list[str]:
    """The command behind the launcher (:mod:`stack.launch`), which ties it to the life of this process."""
    options = ["--parent", str(os.getpid()), "--death", str(int(death))]
    if account is not None:
        options += ["--user", str(account.user), "--group", str(account.group)]
        options += [] if account.keep is None else ["--keep", str(account.keep)]
    return [sys.executable, "-I", "-S", str(LAUNCH), *options, "--", *command]


def spawn(part: Part, home: Home) -> "subprocess.Popen[bytes]":
    """Start the process with its output in its log.

    It gets a session of its own: Ctrl-C in the terminal must reach the supervisor alone, which then stops the parts in
    order. The calling thread must live as long as the process: the kernel takes the end of the thread that forked for
    the death of the parent.
    """
    log = open_log(home, part.name)
    try:
        return subprocess.Popen(  # noqa: S603  the parts' commands are ours
            launched(part.command, part.death_signal, part.account),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(part.environment),
            cwd=part.cwd,
            start_new_session=True,
        )
    finally:
        os.close(log)


def signal_group(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Send the signal to the process and what it started; gone ones do not matter."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        # A session leader that is gone; macOS says EPERM for a group of zombies.
        return
