"""Alerts: rules that fire, and that have fired. System transactions only; they hold labels and ids, no content."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from schemas.alerts import Alert, AlertRule, Comparison
from schemas.ids import new_id

_COLUMNS = "id, rule, figure, labels, comparison, threshold, window_seconds, value, basis, jobs, fired_at, seen_at, resolved_at"
_FIRE = f"""
INSERT INTO alerts (id, rule, figure, labels, comparison, threshold, window_seconds, value, basis, jobs)
VALUES (%(id)s, %(rule)s, %(figure)s, %(labels)s, %(comparison)s, %(threshold)s, %(window)s, %(value)s, %(basis)s, %(jobs)s)
ON CONFLICT (rule, labels) WHERE resolved_at IS NULL DO UPDATE SET
    value = excluded.value, basis = excluded.basis, jobs = excluded.jobs, threshold = excluded.threshold, seen_at = now()
RETURNING {_COLUMNS}
"""
_RESOLVE = f"""
UPDATE alerts SET resolved_at = now(), delivered_at = NULL WHERE resolved_at IS NULL AND NOT (id = ANY(%(firing)s))
RETURNING {_COLUMNS}
"""
_UNDELIVERED = f"SELECT {_COLUMNS} FROM alerts WHERE delivered_at IS NULL ORDER BY fired_at LIMIT 100"
_LATEST = f"SELECT {_COLUMNS} FROM alerts WHERE resolved_at IS NOT NULL ORDER BY fired_at DESC LIMIT %(limit)s"
_FIRING = f"SELECT {_COLUMNS} FROM alerts WHERE resolved_at IS NULL ORDER BY fired_at, rule"
_ONE = f"SELECT {_COLUMNS} FROM alerts WHERE id = %(id)s"


@dataclass(frozen=True)
class Beyond:
    """A figure beyond a rule's threshold."""

    rule: AlertRule
    labels: dict[str, str]
    value: float
    basis: float
    jobs: tuple[UUID, ...]


def fire(connection: Connection, found: Beyond) -> Alert:
    """Let an alert begin, or go on with the present figures."""
    row = connection.exec_driver_sql(
        _FIRE,
        {
            "id": new_id(),
            "rule": found.rule.name,
            "figure": found.rule.figure,
            "labels": json.dumps(found.labels, sort_keys=True),
            "comparison": found.rule.comparison.value,
            "threshold": found.rule.threshold,
            "window": found.rule.window_seconds,
            "value": found.value,
            "basis": found.basis,
            "jobs": list(found.jobs),
        },
    )
    return _alert(row.mappings().one())


def resolve_others(connection: Connection, firing: Sequence[UUID]) -> list[Alert]:
    """End every alert that does not fire any more; it is to be told again, as ended."""
    return [_alert(row) for row in connection.exec_driver_sql(_RESOLVE, {"firing": list(firing)}).mappings()]


def undelivered(connection: Connection) -> list[Alert]:
    """What has not been told yet: alerts that began or ended."""
    return [_alert(row) for row in connection.exec_driver_sql(_UNDELIVERED).mappings()]


def delivered(connection: Connection, alert: Alert) -> None:
    """Note that it has been told, unless it has ended since."""
    connection.exec_driver_sql(
        "UPDATE alerts SET delivered_at = now() WHERE id = %(id)s"
        " AND (resolved_at IS NULL) = %(firing)s AND delivered_at IS NULL",
        {"id": alert.id, "firing": alert.resolved_at is None},
    )


def firing(connection: Connection) -> list[Alert]:
    """What fires now, the first to fire at the top."""
    return [_alert(row) for row in connection.exec_driver_sql(_FIRING).mappings()]


def ended(connection: Connection, limit: int) -> list[Alert]:
    """The latest that fire no more."""
    return [_alert(row) for row in connection.exec_driver_sql(_LATEST, {"limit": limit}).mappings()]


def find(connection: Connection, alert_id: UUID) -> Alert | None:
    """One alert."""
    row = connection.exec_driver_sql(_ONE, {"id": alert_id}).mappings().first()
    return None if row is None else _alert(row)


def _alert(row: Any) -> Alert:
    values = dict(row)
    values["comparison"] = Comparison(values["comparison"])
    values["jobs"] = tuple(values["jobs"])
    return Alert(**values)
