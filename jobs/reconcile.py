"""Reconcile: put right what was lost between the parts."""

import logging

from schemas.settings import Settings
from storage import queue, workers
from storage.database import Database
from storage.queue import Swept

_log = logging.getLogger(__name__)


def sweep(database: Database, settings: Settings) -> Swept | None:
    """Queue again what was published but never claimed and what a dead worker held; settle its calls as unknown.

    Returns:
        The counts, or None where another process is sweeping.
    """
    with database.system() as connection:
        if not queue.try_lock(connection, queue.SWEEP_LOCK):
            return None
        swept = queue.sweep(
            connection, published_seconds=settings.published_seconds, orphan_seconds=settings.job_seconds
        )
    if swept.republished or swept.recovered or swept.unknown_attempts:
        _log.info(
            "swept: %d messages lost, %d jobs of dead workers, %d calls unknown",
            swept.republished, swept.recovered, swept.unknown_attempts,
        )  # fmt: skip
    return swept


def keep_house(database: Database, *, months_ahead: int = 3, worker_days: int = 7) -> int:
    """Make the partitions of the coming months and forget worker processes not seen for days.

    Returns:
        How many partitions were made.
    """
    with database.system() as connection:
        workers.forget(connection, worker_days)
        return queue.make_partitions(connection, months_ahead)
