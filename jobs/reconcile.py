"""Reconcile: put right what was lost between the parts."""

import logging
from uuid import UUID

from jobs import review_upkeep, steps, upload
from jobs.steps import Step
from schemas.settings import Settings
from storage import duties, queue, workers
from storage.database import Database
from storage.queue import Swept

SUSPECT_LOSSES = 2
"""A job that was running twice when its worker process ended is a suspect and runs alone from then on: a third end is its
own doing."""

_log = logging.getLogger(__name__)


def sweep(database: Database, settings: Settings, holder: UUID) -> Swept | None:
    """Queue again what was published but never claimed and what a dead worker held; settle its calls as unknown.

    When turns have just begun again, nobody swept for a while: the database may have been away, and with it every
    heartbeat. Then live workers get two heartbeats' time to renew their leases before any is taken from them.

    Returns:
        The counts, or None where another process has the duty.
    """
    gap = max(settings.lease_seconds / 2, settings.sweep_seconds * 3)
    with database.system() as connection:
        turn = duties.take_turn(
            connection, duties.SWEEP, holder, seconds=settings.duty_seconds + settings.sweep_seconds, gap=gap
        )
        if turn is None:
            return None
        grace_is_over = turn.steady_seconds >= settings.heartbeat_seconds * 2
        rung = queue.ring_again(connection, published_seconds=settings.published_seconds)
        recovered, calls = queue.recover(connection, suspect=SUSPECT_LOSSES) if grace_is_over else (0, [])
        orphans = queue.settle_orphans(connection, orphan_seconds=settings.job_seconds) if grace_is_over else []
        swept = Swept(rung, recovered, [*calls, *orphans])
        if swept.total:
            duties.count(connection, duties.SWEEP, swept.total)
        steps.passed(Step.SWEEPING)
    if swept.total:
        _log.info(
            "swept: %d messages lost, %d jobs of dead workers, %d calls unknown",
            swept.republished, swept.recovered, len(swept.lost_calls),
        )  # fmt: skip
    _keep_desk(database)
    return swept


def _keep_desk(database: Database) -> None:
    try:
        settled, drawn = review_upkeep.settle_decisions(database), review_upkeep.sample_answers(database)
    except Exception as error:
        # What was swept is committed, and its caller has reservations to free: the desk's turn comes again with the next sweep.
        _log.warning("the review desk's upkeep: %s; trying again", type(error).__name__)
        return
    if settled or drawn:
        _log.info("review desk: %d decisions took effect, %d answers drawn for a second look", settled, drawn)


def keep_house(database: Database, *, months_ahead: int = 3, worker_days: int = 7) -> int:
    """Make the partitions of the coming months, forget worker processes not seen for days, drop abandoned uploads.

    Returns:
        How many partitions were made.
    """
    dropped = upload.drop_abandoned(database)
    if dropped:
        _log.info("dropped %d uploads that were not continued", dropped)
    with database.system() as connection:
        workers.forget(connection, worker_days)
        return queue.make_partitions(connection, months_ahead)
