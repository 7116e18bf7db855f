"""Introduces the parts of a worker process to each other, and takes them down in order."""

import logging
import os
import socket
import threading
from concurrent.futures import Future, wait

from celery import Celery

from jobs.admit import abandoned
from jobs.dispatch import Dispatcher
from jobs.hold import HeldLeases
from jobs.workplace import Workplace
from orchestration.provider import AnthropicProvider
from schemas.ids import new_id
from schemas.settings import Settings
from storage import duties, workers
from storage.opening import open_database
from tasks import find_task
from workers.deafness import Ear, Hearing
from workers.gate import shared_gate
from workers.partials import partial_writer
from workers.publisher import CeleryPublisher
from workers.queues import CONTROL_QUEUE, NATIVE_QUEUE, QUEUE
from workers.slots import Slots
from workers.solitary import Solitary
from workers.tracing import TracedProvider
from workers.upkeep import Upkeep

POOL_SIZE = 16
"""Connections per process: transactions take milliseconds, so few serve many slots."""
HORIZON_SECONDS = 2.0
"""Dispatch publishes no more jobs than admission will let start within this time."""

_log = logging.getLogger(__name__)


class Workshop:
    """Everything one worker process has: a workplace, its slots, and the threads that keep it up."""

    def __init__(self, settings: Settings, app: Celery) -> None:
        database = open_database(settings, pool_size=POOL_SIZE)
        actor = f"worker {socket.gethostname()}:{os.getpid()}"
        self.settings = settings
        self.app = app
        self.slots = Slots(settings.worker_slots)
        self.solitary = Solitary(settings, database, actor)
        self.gate = shared_gate(settings, self._live_processes)
        self.partials = partial_writer(settings)
        self.place = Workplace(
            database=database,
            provider=TracedProvider(AnthropicProvider(settings)),
            settings=settings,
            held=HeldLeases(),
            worker_id=new_id(),
            actor=actor,
            gate=self.gate,
            run_alone=self.solitary.run,
            partials=self.partials,
        )
        dispatcher = Dispatcher(
            database, CeleryPublisher(app), self.place.worker_id, settings.duty_seconds, self._calls_that_may_start
        )
        self.stopping = threading.Event()
        self.upkeep = Upkeep(self.place, self.slots, dispatcher)

    def start(self, consumer: object) -> None:
        """Announce the process and begin renewing leases and dispatching.

        Args:
            consumer: Celery's, whose hearing is watched.
        """
        hearing = Hearing(self.settings.deaf_seconds, self.settings.published_seconds)
        self.upkeep.start(Ear(hearing, self.app, consumer, [QUEUE, NATIVE_QUEUE, CONTROL_QUEUE]))
        if self.partials is not None:
            self.partials.start()

    def wait_for(self, futures: "list[Future[None]]") -> None:
        """Wait for jobs to come to rest, or for the process to stop."""
        pending = set(futures)
        while pending and not self.stopping.is_set():
            _, pending = wait(pending, timeout=0.5)

    def stop(self) -> None:
        """Finish within ``stop_seconds`` what runs, give everything else back at once, and sign off."""
        self.slots.stop()
        self.place.held.wait_until_none(self.settings.stop_seconds)
        self.stopping.set()
        self.solitary.stop()
        self.upkeep.stop()
        if self.partials is not None:
            self.partials.stop()
        given_back, calls = self.place.held.give_back(self.place.database, self.place.actor)
        self.gate.abandon(abandoned(calls))
        with self.place.database.system() as connection:
            duties.lay_down(connection, self.place.worker_id)
            workers.stopped(connection, self.place.worker_id)
        self.gate.close()
        _log.info("stopped; %d running jobs given back", given_back)

    def _live_processes(self) -> int:
        return self.upkeep.live_processes

    def _calls_that_may_start(self, task: str) -> int | None:
        """What admission would let through soon, by the model that a new job of this task asks first."""
        model = self.settings.tiers[find_task(task).active_prompt.head.tier]
        return self.gate.room(model, HORIZON_SECONDS).calls


def solitary_workplace(settings: Settings, held: HeldLeases) -> Workplace:
    """What a suspect's own process runs its one job with; its worker renews the lease. Nobody watches its text."""
    alone = settings.model_copy(update={"worker_slots": 1})
    return Workplace(
        database=open_database(alone, pool_size=2),
        provider=TracedProvider(AnthropicProvider(alone)),
        settings=alone,
        held=held,
        worker_id=new_id(),
        actor=f"worker {socket.gethostname()}:{os.getpid()} alone",
        gate=shared_gate(alone, lambda: alone.worker_processes),
    )
