"""Webhooks: a tenant's endpoints, and what is told to them (Standard Webhooks, standardwebhooks.com)."""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from jobs.cancel import NotFound
from jobs.webhook_address import AddressRefused, check_url
from schemas.ids import new_id
from schemas.webhook import Delivery, NewWebhook, Webhook, WebhookEvent
from storage import webhooks
from storage.database import Database

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix that the standard gives to secrets
SECRET_BYTES = 32
OVERLAP_SECONDS = 24 * 3600.0
"""After a new secret the old one signs beside it for so long, so that a receiver can change over."""
MOST_WEBHOOKS = 20
"""Endpoints of one tenant: each finished job writes a row for each."""
MOST_DELIVERIES = 100
KEPT_DAYS = 14
FOR_PRODUCERS = (WebhookEvent.JOB_FINISHED, WebhookEvent.BATCH_FINISHED)


class WebhookRefused(ValueError):
    """The endpoint cannot be made.

    Attributes:
        path: the field that is wrong.
    """

    def __init__(self, path: str, detail: str) -> None:
        self.path = path
        super().__init__(detail)


def create(
    database: Database,
    tenant_id: str,
    url: str,
    events: Sequence[WebhookEvent],
    *,
    actor: str,
    allowed: Sequence[WebhookEvent] = tuple(WebhookEvent),
    private: bool = False,
) -> NewWebhook:
    """Make an endpoint.

    Args:
        allowed: what whoever asks may be told of.
        private: private addresses and plain HTTP may be told too.

    Raises:
        WebhookRefused: the address or an event is refused, or there are enough endpoints.
    """
    if not events:
        raise WebhookRefused("events", "name at least one")
    for place, event in enumerate(events):
        if event not in allowed:
            raise WebhookRefused(f"events.{place}", f"{event} is told to operators only")
    try:
        check_url(url, private=private)
    except AddressRefused as refusal:
        raise WebhookRefused("url", str(refusal)) from None
    webhook_id, secret = new_id(), _new_secret()
    names = list(dict.fromkeys(event.value for event in events))
    with database.tenant(tenant_id) as connection:
        if webhooks.count_of_tenant(connection) >= MOST_WEBHOOKS:
            raise WebhookRefused("", f"there are {MOST_WEBHOOKS} endpoints already; delete one first")
        webhooks.insert(connection, tenant_id, webhook_id, url=url, events=names, secret=secret, actor=actor)
        made = webhooks.find(connection, webhook_id)
    assert made is not None
    return NewWebhook(**made, secret=secret)


def list_webhooks(
    database: Database, tenant_id: str, *, allowed: Sequence[WebhookEvent] = tuple(WebhookEvent)
) -> list[Webhook]:
    """A tenant's endpoints, oldest first; those only that tell what whoever asks may be told."""
    with database.tenant(tenant_id) as connection:
        found = [Webhook(**row) for row in webhooks.all_of_tenant(connection)]
    return [one for one in found if set(one.events) <= set(allowed)]


def find(
    database: Database, tenant_id: str, webhook_id: UUID, *, allowed: Sequence[WebhookEvent] = tuple(WebhookEvent)
) -> Webhook:
    """One endpoint.

    Raises:
        NotFound: the tenant has no such endpoint, or it tells what whoever asks may not be told.
    """
    with database.tenant(tenant_id) as connection:
        row = webhooks.find(connection, webhook_id)
    if row is None or not set(row["events"]) <= set(allowed):
        raise NotFound(f"There is no webhook {webhook_id}.")
    return Webhook(**row)


def delete(
    database: Database, tenant_id: str, webhook_id: UUID, *, allowed: Sequence[WebhookEvent] = tuple(WebhookEvent)
) -> Webhook:
    """Delete an endpoint, and what is on its way to it.

    Raises:
        NotFound: see :func:`find`.
    """
    found = find(database, tenant_id, webhook_id, allowed=allowed)
    with database.tenant(tenant_id) as connection:
        webhooks.delete(connection, webhook_id)
    return found


def renew_secret(
    database: Database, tenant_id: str, webhook_id: UUID, *, allowed: Sequence[WebhookEvent] = tuple(WebhookEvent)
) -> NewWebhook:
    """Give an endpoint another secret; one that was disabled is enabled again.

    Raises:
        NotFound: see :func:`find`.
    """
    find(database, tenant_id, webhook_id, allowed=allowed)
    secret = _new_secret()
    with database.tenant(tenant_id) as connection:
        webhooks.renew_secret(connection, webhook_id, secret, overlap_seconds=OVERLAP_SECONDS)
    found = find(database, tenant_id, webhook_id, allowed=allowed)
    return NewWebhook(**dict(found), secret=secret)


def deliveries(
    database: Database,
    tenant_id: str,
    webhook_id: UUID,
    *,
    limit: int = MOST_DELIVERIES,
    allowed: Sequence[WebhookEvent] = tuple(WebhookEvent),
) -> list[Delivery]:
    """What was or is to be told to an endpoint, newest first.

    Raises:
        NotFound: see :func:`find`.
    """
    find(database, tenant_id, webhook_id, allowed=allowed)
    with database.tenant(tenant_id) as connection:
        return [Delivery(**row) for row in webhooks.deliveries(connection, webhook_id, limit)]


def replay(
    database: Database,
    tenant_id: str,
    webhook_id: UUID,
    delivery_id: UUID,
    *,
    allowed: Sequence[WebhookEvent] = tuple(WebhookEvent),
) -> Delivery:
    """Tell it once more, under the same id.

    Raises:
        NotFound: there is no such endpoint or delivery.
    """
    find(database, tenant_id, webhook_id, allowed=allowed)
    with database.tenant(tenant_id) as connection:
        if not webhooks.replay(connection, webhook_id, delivery_id):
            raise NotFound(f"There is no delivery {delivery_id}.")
        found = webhooks.delivery(connection, webhook_id, delivery_id)
    assert found is not None
    return Delivery(**found)


def tell_of_batches(database: Database, *, limit: int = 50) -> int:
    """Look at batches that nobody was told of yet; returns how many have finished."""
    with database.system() as connection:
        found = webhooks.untold(connection, limit)
        over = [batch for batch in found if batch.is_over]
        for batch in over:
            data = {"batch_id": str(batch.id), "task": batch.task, "total": batch.total}
            webhooks.tell(connection, WebhookEvent.BATCH_FINISHED, json.dumps(data), batch.tenant_id)
        if done := [batch.id for batch in found if batch.is_over or not batch.wanted]:
            webhooks.told(connection, done)
        if waiting := [batch.id for batch in found if batch.wanted and not batch.is_over]:
            webhooks.look_later(connection, waiting)
    return len(over)


def tell_of_alert(database: Database, data: Mapping[str, Any]) -> int:
    """Write a delivery to every endpoint that operators have made for alerts.

    Args:
        data: of the alert, as JSON: its rule, figure, labels and the ids of jobs; no text of a document.
    """
    with database.system() as connection:
        return webhooks.tell(connection, WebhookEvent.ALERT_FIRED, json.dumps(dict(data)), None)


def forget_deliveries(database: Database) -> int:
    """Forget some of those that were settled long ago; returns how many."""
    with database.system() as connection:
        return webhooks.forget(connection, KEPT_DAYS)


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
