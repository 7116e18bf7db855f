"""A worker process that dies, or stops, at a named step when the harness orders it.

An order is a file ``<step>.<signal>.<anything>`` in the directory of ASSAY_CHAOS_ORDERS. Whoever reaches the step first
moves the file away and sends itself the signal: one order, one death, however many processes and threads run.

``python -m tests.chaos.worker worker ...`` takes the arguments of ``celery``.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from jobs import steps
from jobs.steps import Step

ORDERS = "ASSAY_CHAOS_ORDERS"


def obey(orders: Path) -> None:
    """Carry out the orders of this directory from now on."""

    def act(step: Step) -> None:
        for name in os.listdir(orders):
            ordered, number, _ = name.split(".", 2)
            if ordered == step and _take(orders / name):
                # To this thread: one sent to the process would let it run on until another thread has taken the signal.
                signal.pthread_kill(threading.get_ident(), int(number))

    steps.watch(act)


def order(orders: Path, step: Step, number: signal.Signals, name: str) -> Path:
    """Order that the next process to reach the step gets the signal."""
    file = orders / f"{step}.{int(number)}.{name}"
    file.touch()
    return file


def taken_by(file: Path) -> int | None:
    """The pid of the process that carried the order out; None: nobody has."""
    taken = list(_taken(file.parent).glob(f"{file.name}.*"))
    return int(taken[0].suffix[1:]) if taken else None


def _take(file: Path) -> bool:
    try:
        file.rename(_taken(file.parent) / f"{file.name}.{os.getpid()}")
    except FileNotFoundError:
        return False
    return True


def _taken(orders: Path) -> Path:
    """Where orders go that have been carried out."""
    return orders.with_name("taken")


if __name__ == "__main__":
    obey(Path(os.environ[ORDERS]))
    sys.argv[0] = "celery"
    from celery.__main__ import main

    main()
