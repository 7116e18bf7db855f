"""The queue of reviews as people read it: in the order of value, in counts, in clusters. One tenant's, in its transactions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from schemas.review import EVERYTHING, QueueFilter
from storage.review_claims import REVIEWS

WAITING = "r.decision IS NULL AND r.effective_at IS NULL"
"""Neither decided nor set down: the condition of the indexes over the queue, in its words."""

NO_DEADLINE = "'9999-12-31 00:00+00'"
"""What stands in place of a deadline, as SQL: it comes last."""

_FREE = "(r.lease_until IS NULL OR r.lease_until < now())"
_ORDER = "r.due_at, r.rank, r.created_at, r.job_id"
_LINE = f"""
r.tenant_id, r.job_id, r.task, r.reason, r.detail, r.created_at, nullif(r.due_at, {NO_DEADLINE}) AS deadline, r.priority, r.rank,
r.attempts, r.cluster, CASE WHEN r.lease_until > now() THEN r.reviewer END AS reviewer,
CASE WHEN r.lease_until > now() THEN r.lease_until END AS lease_until, coalesce(r.lease_until > now(), false) AS held
"""
_LIST = f"SELECT {_LINE} FROM reviews r WHERE {WAITING} {{limits}} ORDER BY {_ORDER} LIMIT %(limit)s"
_AFTER = f"""
AND ({_ORDER}) > (coalesce(%(after_due)s::timestamptz, {NO_DEADLINE}), %(after_rank)s::smallint, %(after_created)s,
                  %(after_job)s)
"""
_HELD = f"""
SELECT {_LINE} FROM reviews r WHERE {WAITING} AND r.lease_until IS NOT NULL AND r.lease_until > now()
ORDER BY r.lease_until LIMIT %(limit)s
"""
_COUNTS = f"""
SELECT r.tenant_id, r.task, r.reason, count(*) AS waiting, count(*) FILTER (WHERE r.lease_until > now()) AS held,
       min(r.created_at) AS oldest, nullif(min(r.due_at), {NO_DEADLINE}) AS next_deadline
FROM reviews r WHERE {WAITING} GROUP BY r.tenant_id, r.task, r.reason ORDER BY r.tenant_id, r.task, r.reason
"""
_PENDING = """
SELECT tenant_id, job_id, task, pending AS decision, pending_at AS decided_at, effective_at,
       extract(epoch FROM effective_at - now())::float8 AS seconds_left
FROM reviews WHERE decision IS NULL AND effective_at > now() AND reviewer = %(reviewer)s ORDER BY effective_at DESC
"""
_CLUSTERS = f"""
SELECT c.*, one.suggestion FROM (
    SELECT r.tenant_id, r.task, r.reason, r.cluster, count(*) AS waiting, min(r.created_at) AS oldest
    FROM reviews r WHERE {WAITING} AND r.cluster IS NOT NULL AND {_FREE} {{limits}}
    GROUP BY r.tenant_id, r.task, r.reason, r.cluster HAVING count(*) > 1
    ORDER BY count(*) DESC, r.task, r.reason, r.cluster LIMIT %(limit)s
) AS c, LATERAL (
    SELECT r.suggestion FROM reviews r
    WHERE {WAITING} AND r.tenant_id = c.tenant_id AND r.task = c.task AND r.reason = c.reason AND r.cluster = c.cluster LIMIT 1
) AS one
ORDER BY c.waiting DESC, c.task, c.reason, c.cluster
"""
_OF_CLUSTER = f"{WAITING} AND r.task = %(task)s AND r.reason = %(reason)s AND r.cluster = %(cluster)s"
_CLUSTER_SIZE = f"""
SELECT count(*), min(created_at) FROM (
    SELECT r.created_at FROM reviews r WHERE {_OF_CLUSTER} AND {_FREE} LIMIT %(most)s) AS free
"""
_CLAIM_CLUSTER = f"""
{REVIEWS.take}
WHERE job_id IN (
    SELECT r.job_id FROM reviews r
    WHERE {_OF_CLUSTER} AND ({_FREE} OR r.reviewer = %(reviewer)s) AND r.job_id > %(after)s
    ORDER BY r.job_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING job_id, fence, suggestion
"""
_PENDING_TENANTS = "SELECT DISTINCT tenant_id FROM reviews WHERE decision IS NULL AND effective_at <= now()"


@dataclass(frozen=True)
class Place:
    """A place in the queue; places compare as the queue is ordered.

    Attributes:
        due: the deadline, None where there is none.
    """

    due: datetime | None
    rank: int
    created_at: datetime
    job_id: UUID


@dataclass(frozen=True)
class ClusterKey:
    """What the reviews of one cluster have in common; ``cluster`` is the SHA-256 of the suggestion as it is stored."""

    task: str
    reason: str
    cluster: str


def limits_of(only: QueueFilter) -> tuple[str, dict[str, object]]:
    """A filter as conditions, each in words that an index can serve, and their parameters."""
    conditions: list[str] = []
    parameters: dict[str, object] = {}
    if only.task is not None:
        conditions.append("AND r.task = %(task)s")
        parameters["task"] = only.task
    if only.reason is not None:
        conditions.append("AND r.reason = %(reason)s")
        parameters["reason"] = only.reason
    if only.older_than is not None:
        conditions.append("AND r.created_at < now() - make_interval(secs => %(older)s)")
        parameters["older"] = only.older_than.total_seconds()
    if only.due_before is not None:
        conditions.append("AND r.due_at < %(due_before)s")
        parameters["due_before"] = only.due_before
    return " ".join([*conditions, ""]), parameters


def lines(
    connection: Connection, *, only: QueueFilter = EVERYTHING, after: Place | None = None, limit: int
) -> list[dict[str, Any]]:
    """The next lines of the queue behind this place, the most valuable first."""
    limits, parameters = limits_of(only)
    if after is not None:
        limits += _AFTER
        parameters |= {
            "after_due": after.due,
            "after_rank": after.rank,
            "after_created": after.created_at,
            "after_job": after.job_id,
        }
    return _rows(connection, _LIST.format(limits=limits), {"limit": limit, **parameters})


def held(connection: Connection, *, limit: int) -> list[dict[str, Any]]:
    """What anybody holds now; the claim that ends first comes first."""
    return _rows(connection, _HELD, {"limit": limit})


def counts(connection: Connection) -> list[dict[str, Any]]:
    """How many wait, by task and reason."""
    return _rows(connection, _COUNTS, {})


def pending(connection: Connection, reviewer: str) -> list[dict[str, Any]]:
    """What this person decided and can still take back, the latest first."""
    return _rows(connection, _PENDING, {"reviewer": reviewer})


def clusters(connection: Connection, *, only: QueueFilter, limit: int) -> list[dict[str, Any]]:
    """Two or more equal ones that nobody holds, the largest first, each with the suggestion."""
    limits, parameters = limits_of(only)
    return _rows(connection, _CLUSTERS.format(limits=limits), {"limit": limit, **parameters})


def cluster_size(connection: Connection, key: ClusterKey, *, most: int) -> tuple[int, datetime | None]:
    """How many of a cluster nobody holds, counted up to ``most``, and since when the oldest of these waits."""
    row = connection.exec_driver_sql(_CLUSTER_SIZE, _of(key) | {"most": most}).one()
    return row[0], row[1]


def claim_cluster(
    connection: Connection, reviewer: str, key: ClusterKey, *, after: UUID, limit: int, lease_seconds: float
) -> list[dict[str, Any]]:
    """Take the next of a cluster that nobody else holds, in the order of their ids: ``job_id, fence, suggestion``."""
    parameters = {"reviewer": reviewer, "after": after, "limit": limit, "lease": lease_seconds}
    return _rows(connection, _CLAIM_CLUSTER, _of(key) | parameters)


def tenants_with_due_decisions(connection: Connection) -> list[str]:
    """Tenants of which a decision should take effect now (system transaction)."""
    return list(connection.exec_driver_sql(_PENDING_TENANTS).scalars())


def _of(key: ClusterKey) -> dict[str, object]:
    return {"task": key.task, "reason": key.reason, "cluster": key.cluster}


def _rows(connection: Connection, statement: str, parameters: dict[str, object]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.exec_driver_sql(statement, parameters).mappings()]
