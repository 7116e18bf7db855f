"""The Celery processes as parts of the stack: workers, beat, Flower."""

import signal
from collections.abc import Mapping

from stack.commands import beat_command, flower_command, with_this_python, worker_command
from stack.home import Home
from stack.model import answers_http
from stack.part import Part
from stack.ports import LOOPBACK, free_port


def worker_part(name: str, home: Home, environment: Mapping[str, str], stop_seconds: float) -> Part:
    """A worker process; ``stop_seconds`` is what it gives its running jobs when it is told to stop."""
    return Part(
        name=name,
        command=with_this_python(worker_command(name)),
        environment=environment,
        cwd=home.root,
        ready=lambda said: " ready." in said,
        # Leases are given back and threads end after that time, so the process needs some more.
        stop_seconds=stop_seconds + 10,
        stop_signal=signal.SIGTERM,
    )


def beat_part(home: Home, environment: Mapping[str, str]) -> Part:
    """The clock."""
    return Part(
        name="beat",
        command=with_this_python(beat_command(home.celery / "schedule")),
        environment=environment,
        cwd=home.root,
        # The end of its banner; the line "beat: Starting..." is not written at every log level.
        ready=lambda said: "maxinterval ->" in said,
    )


def flower_part(home: Home, environment: Mapping[str, str]) -> Part:
    """Flower on a free port."""
    port = free_port()
    return Part(
        name="flower",
        command=with_this_python(flower_command(port, home.celery / "flower")),
        url=f"http://{LOOPBACK}:{port}",
        environment=environment,
        cwd=home.root,
        ready=lambda _said: answers_http(port, "/healthcheck"),
    )
