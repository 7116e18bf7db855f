"""Lists of one tenant's jobs and batches, from a place on."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.engine import RowMapping

LOOKED_THROUGH = 10_000
"""Jobs that one page looks through at most: a filter that few jobs pass must not read a million."""

_COLUMNS = """
id AS job_id, batch_id, line, reference, task, state, answered_by, failure_reason, failure_detail, created_at, finished_at
"""
_MATCHES = "(%(state)s::text IS NULL OR state = %(state)s) AND (%(task)s::text IS NULL OR task = %(task)s)"
# A page begins behind `after`, and looks no further than `bound`: both are ends of the same index.
_BOUND = "SELECT id FROM jobs WHERE id < %(after)s ORDER BY id DESC OFFSET %(window)s LIMIT 1"
_JOBS = f"""
SELECT {_COLUMNS} FROM jobs
WHERE id < %(after)s AND id >= %(bound)s AND {_MATCHES}
ORDER BY id DESC LIMIT %(limit)s
"""
_BOUND_IN_BATCH = """
SELECT line FROM jobs WHERE batch_id = %(batch)s AND line > %(after)s ORDER BY line OFFSET %(window)s LIMIT 1
"""
_JOBS_OF_BATCH = f"""
SELECT {_COLUMNS} FROM jobs
WHERE batch_id = %(batch)s AND line > %(after)s AND line <= %(bound)s AND {_MATCHES}
ORDER BY line LIMIT %(limit)s
"""
_BATCHES = """
SELECT id AS batch_id, task, total, created_at, closed_at AS received_at FROM batches
WHERE id < %(after)s ORDER BY id DESC LIMIT %(limit)s
"""
_LAST_ID = UUID(int=2**128 - 1)
_FIRST_ID = UUID(int=0)
_LAST_LINE = 2**31 - 1


@dataclass(frozen=True)
class Page:
    """Rows, and where the next page begins; None: there is none."""

    rows: list[dict[str, Any]]
    next: UUID | int | None


def jobs(connection: Connection, *, after: UUID | None, limit: int, state: str | None, task: str | None) -> Page:
    """Jobs of the tenant, newest first, behind this id."""
    known = {"after": after or _LAST_ID, "state": state, "task": task, "limit": limit}
    bound = connection.exec_driver_sql(_BOUND, {**known, "window": LOOKED_THROUGH - 1}).scalar()
    found = _rows(connection, _JOBS, {**known, "bound": bound or _FIRST_ID})
    return Page(found, found[-1]["job_id"] if len(found) == limit else bound)


def jobs_of_batch(
    connection: Connection, batch_id: UUID, *, after: int | None, limit: int, state: str | None, task: str | None
) -> Page:
    """Jobs of a batch behind this line, in the order of lines."""
    known = {"batch": batch_id, "after": after or 0, "state": state, "task": task, "limit": limit}
    bound = connection.exec_driver_sql(_BOUND_IN_BATCH, {**known, "window": LOOKED_THROUGH - 1}).scalar()
    found = _rows(connection, _JOBS_OF_BATCH, {**known, "bound": bound or _LAST_LINE})
    return Page(found, found[-1]["line"] if len(found) == limit else bound)


def batches(connection: Connection, *, after: UUID | None, limit: int) -> Page:
    """Batches of the tenant, newest first, behind this id."""
    found = _rows(connection, _BATCHES, {"after": after or _LAST_ID, "limit": limit})
    return Page(found, found[-1]["batch_id"] if len(found) == limit else None)


def _rows(connection: Connection, statement: str, parameters: dict[str, object]) -> list[dict[str, Any]]:
    return [_plain(row) for row in connection.exec_driver_sql(statement, parameters).mappings()]


def _plain(row: RowMapping) -> dict[str, Any]:
    """With the two columns of a failure as one value."""
    found = dict(row)
    if "failure_reason" in found:
        reason, detail = found.pop("failure_reason"), found.pop("failure_detail")
        found["failure"] = None if reason is None else {"reason": reason, "detail": detail or ""}
    return found
