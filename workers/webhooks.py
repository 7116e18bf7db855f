"""Tells webhooks: a thread of a worker process looks for what is due, and a few others send it.

Every process does so: who takes a delivery has it for the time of a lease, and each is told at least once.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from jobs import webhooks
from jobs.webhook_sending import LEASE_SECONDS, deliver
from schemas.alerts import Alert
from storage import webhooks as stored
from storage.database import Database

SENDERS = 4
"""Deliveries that a process sends at a time."""
OF_ONE_ENDPOINT = 2
"""Of these, at most, to one endpoint."""
POLL_SECONDS = 1.0
FORGET_EVERY = 600
"""Rounds between two looks for what may be forgotten."""

_log = logging.getLogger(__name__)


class Messenger:
    """Sends what is due.

    Args:
        private: private addresses and plain HTTP may be told too (ASSAY_WEBHOOK_PRIVATE).
    """

    def __init__(self, database: Database, *, private: bool) -> None:
        self._database = database
        self._private = private
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="webhook")
        self._rounds = 0

    def round(self) -> int:
        """Take what is due and send it; returns how many were tried."""
        webhooks.tell_of_batches(self._database)
        self._rounds += 1
        if self._rounds % FORGET_EVERY == 0:
            webhooks.forget_deliveries(self._database)
        with self._database.system() as connection:
            taken = stored.take_due(connection, limit=SENDERS, each=OF_ONE_ENDPOINT, lease_seconds=LEASE_SECONDS)
        for _ in self._senders.map(self._try, taken):
            continue
        return len(taken)

    def turn(self, wait: Callable[[float], object]) -> None:
        """A round, and a pause when nothing was due."""
        if not self.round():
            wait(POLL_SECONDS)

    def tell_of_alert(self, alert: Alert) -> None:
        """Tell those who asked for it that an alert fires; that it has ended, its page says."""
        if alert.resolved_at is None:
            webhooks.tell_of_alert(self._database, alert.model_dump(mode="json", exclude={"resolved_at"}))

    def stop(self) -> None:
        """Wait for what is being sent."""
        self._senders.shutdown(wait=True, cancel_futures=True)

    def _try(self, taken: tuple[UUID, str]) -> None:
        delivery_id, tenant_id = taken
        try:
            reply = deliver(self._database, tenant_id, delivery_id, private=self._private)
        except Exception as error:
            # Its lease ends, and it is tried again; the others must not wait for this one.
            _log.warning("delivery %s: %s; trying again", delivery_id, type(error).__name__)
            return
        if reply is not None and not reply.arrived:
            _log.info("delivery %s: %s", delivery_id, reply.detail)
