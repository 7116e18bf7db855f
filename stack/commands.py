"""The command lines of the Celery processes, in one place: the embedded stack runs them and docker-compose.yml is
checked against them."""

import sys
from pathlib import Path

APP = "workers"
QUEUES = "assay,celery,assay.control"
"""Ids of our own jobs; what Celery producers send to Celery's default queue; housekeeping."""


def worker_command(name: str) -> list[str]:
    """A worker process; how many jobs it runs at a time is in its settings (ASSAY_WORKER_SLOTS).

    Threads, because Celery's other pools cost several times the memory or CPU per job here. Workers need not know each
    other (gossip, mingle): leases in the database keep them apart.
    """
    return [
        "celery", "-A", APP, "worker", "--pool", "threads", "-n", f"{name}@%h",
        "-Q", QUEUES, "--without-gossip", "--without-mingle", "--loglevel", "INFO",
    ]  # fmt: skip


def beat_command(schedule: Path) -> list[str]:
    """The clock of the housekeeping; ``schedule`` is where it remembers when it last did."""
    return ["celery", "-A", APP, "beat", "--schedule", str(schedule), "--pidfile=", "--loglevel", "INFO"]


def flower_command(port: int, database: Path, address: str = "127.0.0.1") -> list[str]:
    """Flower's pages; ``database`` is the file in which it keeps what it has seen."""
    return [
        "celery", "-A", APP, "flower", f"--address={address}", f"--port={port}", "--persistent=True",
        f"--db={database}", "--state_save_interval=60000",
    ]  # fmt: skip


def web_command(port: int, address: str = "127.0.0.1") -> list[str]:
    """The API, the review desk and the operators' pages."""
    return ["python", "-m", "web", "--host", address, "--port", str(port)]


def ping_command(seconds: float) -> list[str]:
    """Asks every worker for a sign of life and prints the answers as JSON."""
    return ["celery", "-A", APP, "inspect", "ping", "--json", "--timeout", str(seconds)]


def with_this_python(command: list[str]) -> list[str]:
    """The same command run by the interpreter we run in, whatever PATH says."""
    return [sys.executable, *(command[1:] if command[0] == "python" else ["-m", *command])]
