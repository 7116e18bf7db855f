"""The Celery processes as parts of the stack: workers, beat, Flower."""

import signal
from collections.abc import Mapping

from stack.commands import beat_command, flower_command, web_command, with_this_python, worker_command
from stack.home import Home, secret
from stack.model import answers_http
from stack.part import Part
from stack.ports import LOOPBACK, free_port, port_near

FLOWER_USER = "operator"
FLOWER_SECRET = "flower"  # noqa: S105  the name of a file, not what is in it


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


def web_part(home: Home, environment: Mapping[str, str], preferred_port: int) -> Part:
    """The web, on this port or, where something else has it, on a free one."""
    port = port_near(preferred_port)
    return Part(
        name="web",
        command=with_this_python(web_command(port)),
        url=f"http://{LOOPBACK}:{port}",
        environment=environment,
        cwd=home.root,
        ready=lambda _said: answers_http(port, "/healthz"),
    )


def flower_part(home: Home, environment: Mapping[str, str]) -> Part:
    """Flower on a free port, for whoever knows its password."""
    port = free_port()
    password = secret(home, FLOWER_SECRET)
    return Part(
        name="flower",
        command=with_this_python(flower_command(port, home.celery / "flower")),
        url=f"http://{FLOWER_USER}:{password}@{LOOPBACK}:{port}",
        environment={**environment, "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{password}"},
        cwd=home.root,
        ready=lambda _said: answers_http(port, "/healthcheck"),
    )
