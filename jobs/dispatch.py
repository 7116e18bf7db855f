"""Dispatch: keep a short window of job ids on the broker. Postgres decides the order; the broker only rings."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from sqlalchemy import Connection

from jobs import steps
from jobs.candidates import Front
from jobs.fairness import FairClock
from jobs.steps import Step
from storage import duties, fairness, queue
from storage.database import Database
from storage.fairness import Candidate
from tasks import catalogue

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


@dataclass(frozen=True)
class Dispatcher:
    """One process that may dispatch.

    Attributes:
        holder: the worker's id, by which the duty is held.
        duty_seconds: another process takes over when this one's turn is overdue by so much.
        calls_that_may_start: task -> model calls that admission would let through soon, None where it sets no limit.
    """

    database: Database
    publisher: Publisher
    holder: UUID
    duty_seconds: float
    calls_that_may_start: Callable[[str], int | None] = lambda _task: None

    def round(self) -> int | None:
        """Fill the window with jobs that are due, if this process has the duty.

        Returns:
            How many jobs were published; None where another process has the duty.
        """
        with self.database.system() as connection:
            turn = duties.take_turn(
                connection, duties.DISPATCH, self.holder, seconds=self.duty_seconds, gap=self.duty_seconds * 4
            )
            taken = self._take(connection, turn.number) if turn is not None else []
            steps.passed(Step.DISPATCHING)
        return None if turn is None else self._publish(taken)

    def _take(self, connection: Connection, turn: int) -> list[Candidate]:
        """Move the next jobs into the window, fairly, as many as there is room for."""
        queue.put_due_in_line(connection)
        window = queue.window(connection)
        size = window.slots * WINDOW_FACTOR or IDLE_WINDOW
        room = size - window.total
        if room * ROUND_SHARE < size:
            return []
        chosen = self._choose(connection, room, window.published, turn)
        taken = queue.take(connection, [job.job_id for job in chosen]) if chosen else set()
        return [job for job in chosen if job.job_id in taken]

    def _choose(self, connection: Connection, room: int, published: dict[str, int], turn: int) -> list[Candidate]:
        waiting = fairness.waiting(connection)
        if not waiting:
            return []
        by_task = self._rooms_by_task(catalogue(), published)
        tasks = [task for task in catalogue() if by_task.get(task, 1) > 0]

        def read(priority: int, most: Mapping[str, int]) -> list[Candidate]:
            return fairness.first_jobs(connection, priority, most, tasks)

        chosen, clocks = Front(waiting, _clocks(waiting), read).choose(room, by_task, turn=turn)
        if chosen:
            served = {(job.priority, job.tenant_id) for job in chosen}
            fairness.remember(
                connection,
                {priority: clocks[priority].now for priority, _ in served},
                {of: end for of in served if (end := clocks[of[0]].served.get(of[1])) is not None},
            )
        return chosen

    def _rooms_by_task(self, tasks: Iterable[str], published: dict[str, int]) -> dict[str, int]:
        """Places per task where its model takes a limited number of calls; what is on the broker already counts."""
        rooms = {task: self.calls_that_may_start(task) for task in tasks}
        return {task: max(0, calls - published.get(task, 0)) for task, calls in rooms.items() if calls is not None}

    def _publish(self, taken: Sequence[Candidate]) -> int:
        """Publish after the commit. What the broker refuses goes back to waiting; the next round tries again."""
        messages = _messages(taken, most_ids=ids_per_message(len(taken)))
        if messages:
            steps.passed(Step.PUBLISHING)
        for index, (task, tenant_id, ids) in enumerate(messages):
            try:
                self.publisher.publish(task, tenant_id, ids)
            except PublishFailed as error:
                unsent = [job_id for _, _, rest in messages[index:] for job_id in rest]
                _log.warning("the broker took %d of %d jobs: %s", len(taken) - len(unsent), len(taken), error)
                with self.database.system() as connection:
                    queue.unpublish(connection, unsent)
                return len(taken) - len(unsent)
            steps.passed(Step.PUBLISHED)
        return len(taken)


def ids_per_message(jobs: int) -> int:
    """One id each when idle, more with a backlog, and always enough messages to share among worker processes."""
    return max(1, min(MOST_IDS, jobs // 8))


def _clocks(waiting: Iterable[fairness.Waiting]) -> dict[int, FairClock]:
    clocks: dict[int, FairClock] = {}
    for of in waiting:
        clock = clocks.setdefault(of.priority, FairClock(of.now))
        if of.served is not None:
            clock.served[of.tenant_id] = of.served
    return clocks


def _messages(taken: Sequence[Candidate], *, most_ids: int) -> list[tuple[str, str, list[UUID]]]:
    """Ids of one task and tenant together, in the order of each message's first job: a tenant's lone job does not wait
    behind all messages of a big one."""
    messages: list[tuple[str, str, list[UUID]]] = []
    filling: dict[tuple[str, str], list[UUID]] = defaultdict(list)
    for job in taken:
        ids = filling[job.task, job.tenant_id]
        if not ids:
            messages.append((job.task, job.tenant_id, ids))
        ids.append(job.job_id)
        if len(ids) == most_ids:
            filling[job.task, job.tenant_id] = []
    return messages
