"""Dispatch: keep a short window of job ids on the broker. Postgres decides the order; the broker only rings."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from storage import queue
from storage.database import Database
from storage.queue import Waiting

WINDOW_FACTOR = 2
"""The window holds this many times the running capacity: enough that no slot waits for a dispatch round."""
IDLE_WINDOW = 100
"""The window while no worker is known yet, so that the first jobs are there when one starts."""
ROUND_SHARE = 4
"""A round waits until this part of the window is free: by then one and a half times the capacity is still under way,
and many ids go out in few messages."""
MOST_IDS = 10
"""Ids in one message at most. A message's cost is divided by them; but a worker process takes whole messages, and with
long ones one process would take what another has room for."""

_log = logging.getLogger(__name__)


class Publisher(Protocol):
    """Rings the doorbell: puts ids, and nothing else, on the broker."""

    def publish(self, task: str, tenant_id: str, job_ids: Sequence[UUID]) -> None:
        """Raises ``PublishFailed`` when the broker does not take the message."""


class PublishFailed(RuntimeError):
    """The broker did not take a message."""


def dispatch(database: Database, publisher: Publisher) -> int:
    """One round: fill the window with the jobs that are due. One process at a time does this.

    Returns:
        How many jobs were published.
    """
    with database.system() as connection:
        if not queue.try_lock(connection, queue.DISPATCH_LOCK):
            return 0
        slots = queue.capacity(connection)
        window = slots * WINDOW_FACTOR if slots else IDLE_WINDOW
        room = window - queue.in_window(connection)
        taken = queue.take(connection, room) if room * ROUND_SHARE >= window else []
    return _publish(database, publisher, taken, most_ids=ids_per_message(len(taken)))


def ids_per_message(jobs: int) -> int:
    """One id each when idle, more with a backlog, and always enough messages to share among worker processes."""
    return max(1, min(MOST_IDS, jobs // 8))


def _publish(database: Database, publisher: Publisher, taken: Sequence[Waiting], *, most_ids: int) -> int:
    """Publish after the commit. What the broker refuses goes back to waiting; the next round tries again."""
    groups: dict[tuple[str, str], list[UUID]] = defaultdict(list)
    for job in taken:
        groups[job.task, job.tenant_id].append(job.job_id)
    messages = [
        (task, tenant_id, ids[start : start + most_ids])
        for (task, tenant_id), ids in groups.items()
        for start in range(0, len(ids), most_ids)
    ]
    for index, (task, tenant_id, ids) in enumerate(messages):
        try:
            publisher.publish(task, tenant_id, ids)
        except PublishFailed as error:
            unsent = [job_id for _, _, rest in messages[index:] for job_id in rest]
            _log.warning("the broker took %d of %d jobs: %s", len(taken) - len(unsent), len(taken), error)
            with database.system() as connection:
                queue.unpublish(connection, unsent)
            return len(taken) - len(unsent)
    return len(taken)
