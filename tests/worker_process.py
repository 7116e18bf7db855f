"""Worker processes that have their imports behind them.

A worker spends three seconds of CPU on importing, and the suite starts dozens of them. So one process imports what workers
import, once, and forks: each child gets its own environment, session and log, and then runs Celery's own command, as a shell
would. That a worker comes up from nothing is proved where stacks are started (tests of the stack, acceptance, chaos).
"""

import multiprocessing
import os
import site
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_IMPORTED = [
    "celery.bin.celery", "celery.apps.worker", "celery.worker.consumer", "celery.worker.components", "celery.concurrency.thread",
    "workers.celery", "workers.execution", "psycopg", "sqlalchemy.dialects.postgresql.psycopg", "anthropic",
]  # fmt: skip
"""Nothing here starts a thread, connects, or reads a setting: the forked worker does."""

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(_IMPORTED)


def start_worker(command: Sequence[str], environment: Mapping[str, str], log: Path) -> ForkServerProcess:
    """Start a worker process.

    Args:
        command: ``celery`` and its arguments.
        environment: all of it; nothing is inherited.
        log: where its standard output and error go.
    """
    process = _forking.Process(target=_work, args=(list(command), dict(environment), str(log)), daemon=True)
    process.start()
    return process


def _work(command: list[str], environment: dict[str, str], log: str) -> None:
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(environment)
    # What Python does with PYTHONPATH when it starts.
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
    site.execsitecustomize()
    sys.argv[:] = command
    from celery.bin.celery import main

    sys.exit(main())
