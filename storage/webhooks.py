"""Webhooks: endpoints of a tenant, and what is on its way to them. Outside tenants' transactions no secret and no address is
seen: there it is only decided what is due."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

_COLUMNS = "id AS webhook_id, url, events, created_at, created_by, failing_since, disabled_at, disabled_reason"
_DELIVERY = """
id AS delivery_id, event, data, created_at, state, tries, CASE WHEN state = 'pending' THEN next_at END AS next_at, settled_at,
status, detail
"""
# A few of each endpoint: one that is slow, or has much to be told, does not keep the others waiting.
_TAKE = """
UPDATE webhook_deliveries d SET tries = d.tries + 1, next_at = now() + make_interval(secs => %(lease)s)
FROM (
    SELECT due.id FROM webhooks w CROSS JOIN LATERAL (
        SELECT id FROM webhook_deliveries WHERE webhook_id = w.id AND state = 'pending' AND next_at <= now()
        ORDER BY next_at LIMIT %(each)s FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE w.disabled_at IS NULL AND (w.resume_at IS NULL OR w.resume_at <= now())
    LIMIT %(limit)s
) AS taken
WHERE d.id = taken.id RETURNING d.id, d.tenant_id
"""
_OUTGOING = """
SELECT d.id, d.webhook_id, d.event, d.data, d.created_at, d.tries, w.url, w.secret,
       CASE WHEN w.previous_until > now() THEN w.previous_secret END AS previous_secret
FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
WHERE d.id = %(id)s AND d.state = 'pending' AND w.disabled_at IS NULL
"""
_DELIVERED = """
WITH delivery AS (
    UPDATE webhook_deliveries SET state = 'delivered', settled_at = now(), status = %(status)s, detail = NULL
    WHERE id = %(id)s AND state = 'pending' RETURNING webhook_id
)
UPDATE webhooks SET failing_since = NULL, resume_at = NULL
FROM delivery WHERE webhooks.id = delivery.webhook_id AND (failing_since IS NOT NULL OR resume_at IS NOT NULL)
"""
_FAILED = """
WITH delivery AS (
    UPDATE webhook_deliveries SET status = %(status)s, detail = %(detail)s,
        state = CASE WHEN %(wait)s::float8 IS NULL THEN 'failed' ELSE state END,
        settled_at = CASE WHEN %(wait)s::float8 IS NULL THEN now() END,
        next_at = now() + make_interval(secs => coalesce(%(wait)s::float8, 0))
    WHERE id = %(id)s AND state = 'pending' RETURNING webhook_id
)
UPDATE webhooks SET failing_since = coalesce(failing_since, now()),
    resume_at = now() + make_interval(secs => %(pause)s),
    disabled_at = CASE WHEN is_over THEN now() ELSE disabled_at END,
    disabled_reason = CASE WHEN is_over THEN %(detail)s ELSE disabled_reason END
FROM delivery, LATERAL (
    SELECT %(gone)s OR (%(wait)s::float8 IS NULL AND failing_since < now() - make_interval(secs => %(patience)s)) AS is_over
    FROM webhooks w WHERE w.id = delivery.webhook_id
) AS verdict
WHERE webhooks.id = delivery.webhook_id
"""
_UNTOLD = """
SELECT b.id, b.tenant_id, b.task, b.total, wanted.wanted,
       wanted.wanted AND NOT EXISTS (
           SELECT 1 FROM jobs j WHERE j.batch_id = b.id AND j.state IN ('queued', 'published', 'running')) AS is_over
FROM batches b, LATERAL (
    SELECT EXISTS (SELECT 1 FROM webhooks w WHERE w.tenant_id = b.tenant_id AND w.disabled_at IS NULL
                   AND 'batch.finished' = ANY (w.events)) AS wanted
) AS wanted
WHERE b.untold AND b.closed_at IS NOT NULL AND b.look_at <= now()
ORDER BY b.look_at LIMIT %(limit)s FOR UPDATE OF b SKIP LOCKED
"""
_TOLD = "UPDATE batches SET untold = false WHERE id = ANY(%(ids)s)"
_LATER = """
UPDATE batches SET look_at = now() + least(interval '30 seconds', greatest(interval '1 second', (now() - closed_at) / 10))
WHERE id = ANY(%(ids)s)
"""
_TELL = """
INSERT INTO webhook_deliveries (tenant_id, webhook_id, event, data)
SELECT tenant_id, id, %(event)s, %(data)s::json FROM webhooks
WHERE disabled_at IS NULL AND %(event)s = ANY (events) AND (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s)
"""
_FORGET = """
DELETE FROM webhook_deliveries WHERE id IN (
    SELECT id FROM webhook_deliveries WHERE settled_at < now() - make_interval(days => %(days)s) ORDER BY settled_at LIMIT 1000)
"""
_REPLAY = """
UPDATE webhook_deliveries SET state = 'pending', settled_at = NULL, tries = 0, next_at = now()
WHERE id = %(id)s AND webhook_id = %(webhook)s RETURNING id
"""


@dataclass(frozen=True)
class Outgoing:
    """A delivery with all that sending it takes."""

    id: UUID
    webhook_id: UUID
    event: str
    data: dict[str, Any]
    created_at: datetime
    tries: int
    url: str
    secret: str
    previous_secret: str | None


@dataclass(frozen=True)
class Untold:
    """A batch of which nobody has been told that it has finished.

    Attributes:
        wanted: somebody wants to be told.
    """

    id: UUID
    tenant_id: str
    task: str
    total: int
    wanted: bool
    is_over: bool


def insert(
    connection: Connection,
    tenant_id: str,
    webhook_id: UUID,
    *,
    url: str,
    events: Sequence[str],
    secret: str,
    actor: str,
) -> None:
    """Make an endpoint."""
    connection.exec_driver_sql(
        "INSERT INTO webhooks (id, tenant_id, url, events, secret, created_by)"
        " VALUES (%(id)s, %(tenant)s, %(url)s, %(events)s, %(secret)s, %(actor)s)",
        {"id": webhook_id, "tenant": tenant_id, "url": url, "events": list(events), "secret": secret, "actor": actor},
    )


def find(connection: Connection, webhook_id: UUID) -> dict[str, Any] | None:
    """An endpoint of this tenant."""
    row = connection.exec_driver_sql(f"SELECT {_COLUMNS} FROM webhooks WHERE id = %(id)s", {"id": webhook_id})
    found = row.mappings().first()
    return None if found is None else dict(found)


def all_of_tenant(connection: Connection) -> list[dict[str, Any]]:
    """Every endpoint of this tenant, oldest first."""
    rows = connection.exec_driver_sql(f"SELECT {_COLUMNS} FROM webhooks ORDER BY id")
    return [dict(row) for row in rows.mappings()]


def count_of_tenant(connection: Connection) -> int:
    """How many endpoints this tenant has."""
    return int(connection.exec_driver_sql("SELECT count(*) FROM webhooks").scalar_one())


def delete(connection: Connection, webhook_id: UUID) -> None:
    """Delete an endpoint and what is on its way to it."""
    connection.exec_driver_sql("DELETE FROM webhooks WHERE id = %(id)s", {"id": webhook_id})


def renew_secret(connection: Connection, webhook_id: UUID, secret: str, *, overlap_seconds: float) -> None:
    """Another secret; the old one signs beside it for a while. A disabled endpoint is enabled again."""
    connection.exec_driver_sql(
        "UPDATE webhooks SET previous_secret = secret, previous_until = now() + make_interval(secs => %(overlap)s),"
        " secret = %(secret)s, disabled_at = NULL, disabled_reason = NULL, failing_since = NULL, resume_at = NULL"
        " WHERE id = %(id)s",
        {"id": webhook_id, "secret": secret, "overlap": overlap_seconds},
    )


def deliveries(connection: Connection, webhook_id: UUID, limit: int) -> list[dict[str, Any]]:
    """What was or is to be told to an endpoint, newest first."""
    rows = connection.exec_driver_sql(
        f"SELECT {_DELIVERY} FROM webhook_deliveries WHERE webhook_id = %(id)s ORDER BY created_at DESC, id LIMIT %(limit)s",
        {"id": webhook_id, "limit": limit},
    )
    return [dict(row) for row in rows.mappings()]


def delivery(connection: Connection, webhook_id: UUID, delivery_id: UUID) -> dict[str, Any] | None:
    """One of them."""
    row = connection.exec_driver_sql(
        f"SELECT {_DELIVERY} FROM webhook_deliveries WHERE id = %(id)s AND webhook_id = %(webhook)s",
        {"id": delivery_id, "webhook": webhook_id},
    )
    found = row.mappings().first()
    return None if found is None else dict(found)


def replay(connection: Connection, webhook_id: UUID, delivery_id: UUID) -> bool:
    """Send it again, with all its tries back. False: there is no such delivery."""
    row = connection.exec_driver_sql(_REPLAY, {"id": delivery_id, "webhook": webhook_id})
    return row.first() is not None


def take_due(connection: Connection, *, limit: int, each: int, lease_seconds: float) -> list[tuple[UUID, str]]:
    """Deliveries that are due, with their tenants; no other process gets them for the time of the lease (system transaction)."""
    rows = connection.exec_driver_sql(_TAKE, {"limit": limit, "each": each, "lease": lease_seconds})
    return [(row[0], row[1]) for row in rows]


def outgoing(connection: Connection, delivery_id: UUID) -> Outgoing | None:
    """What is to be sent. None: it was settled, or its endpoint is disabled or gone."""
    row = connection.exec_driver_sql(_OUTGOING, {"id": delivery_id}).mappings().first()
    return None if row is None else Outgoing(**row)


def delivered(connection: Connection, delivery_id: UUID, status: int) -> None:
    """It has arrived."""
    connection.exec_driver_sql(_DELIVERED, {"id": delivery_id, "status": status})


def failed(
    connection: Connection,
    delivery_id: UUID,
    *,
    status: int | None,
    detail: str,
    wait_seconds: float | None,
    pause_seconds: float,
    patience_seconds: float,
    gone: bool,
) -> None:
    """It has not arrived.

    Args:
        wait_seconds: until it is tried again; None: never.
        pause_seconds: until anything is sent to this endpoint again.
        patience_seconds: an endpoint that has failed for longer is disabled when a delivery is given up.
        gone: it says that it is gone, and is disabled.
    """
    connection.exec_driver_sql(
        _FAILED,
        {"id": delivery_id, "status": status, "detail": detail, "wait": wait_seconds, "pause": pause_seconds,
         "patience": patience_seconds, "gone": gone},
    )  # fmt: skip


def untold(connection: Connection, limit: int) -> list[Untold]:
    """Batches that it is time to look at, locked (system transaction)."""
    return [Untold(**row) for row in connection.exec_driver_sql(_UNTOLD, {"limit": limit}).mappings()]


def told(connection: Connection, batch_ids: Sequence[UUID]) -> None:
    """Nothing is to be told of these any more."""
    connection.exec_driver_sql(_TOLD, {"ids": list(batch_ids)})


def tell_again(connection: Connection, batch_id: UUID) -> None:
    """That this batch has finished is news once more (tenant's transaction)."""
    connection.exec_driver_sql("UPDATE batches SET untold = true, look_at = now() WHERE id = %(id)s", {"id": batch_id})


def look_later(connection: Connection, batch_ids: Sequence[UUID]) -> None:
    """Look at these again: soon where they are young."""
    connection.exec_driver_sql(_LATER, {"ids": list(batch_ids)})


def tell(connection: Connection, event: str, data: str, tenant_id: str | None) -> int:
    """Write a delivery for every endpoint that wants to know (system transaction).

    Args:
        data: JSON text; ids, names and figures only.
        tenant_id: whose endpoints; None: everybody's.
    """
    parameters: Mapping[str, object] = {"event": event, "data": data, "tenant": tenant_id}
    return connection.exec_driver_sql(_TELL, dict(parameters)).rowcount


def forget(connection: Connection, days: int) -> int:
    """Forget some deliveries that were settled so long ago (system transaction)."""
    return connection.exec_driver_sql(_FORGET, {"days": days}).rowcount
