"""Jobs given to the system and waited for."""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, LiteralString
from uuid import UUID

import psycopg

from benchmarks.documents import LABELS, document
from jobs.submit import submit_batch, submit_one
from schemas.job import JobOptions
from storage.database import Database

Tell = Callable[[str], None]
Owner = psycopg.Connection[tuple[Any, ...]]

POLL_SECONDS = 0.5
TELL_SECONDS = 10.0
SILENCE_SECONDS = 90.0

_UNDER_WAY: LiteralString = "SELECT count(*) FROM jobs WHERE state = 'queued'"
_AT_WORK: LiteralString = "SELECT count(*) FROM jobs WHERE state = 'published' UNION ALL " \
    "SELECT count(*) FROM jobs WHERE state = 'running'"  # fmt: skip


class Stuck(RuntimeError):
    """Nothing moved any more."""


def text(number: int, characters: int) -> str:
    """A document of about this length; each is different."""
    ticket = document(number)
    return (ticket + " " + ticket * (characters // len(ticket)))[: max(characters, 200)]


def make_tenant(owner: Owner, tenant_id: str, *, weight: float = 1.0) -> None:
    """A tenant of this weight."""
    owner.execute(
        "INSERT INTO tenants (id, name, weight) VALUES (%s, %s, %s) ON CONFLICT (id) DO UPDATE SET weight = excluded.weight",
        [tenant_id, tenant_id, weight],
    )


def give(database: Database, tenant_id: str, texts: Iterable[str], options: JobOptions | None = None) -> UUID:
    """Submit documents to classify as one batch; returns its id."""
    lines = (json.dumps({"text": one}).encode() for one in texts)
    given = submit_batch(database, tenant_id, "classify", lines, {"labels": LABELS}, options or JobOptions())
    assert given.batch_id is not None
    return given.batch_id


def give_one(database: Database, tenant_id: str, one: str) -> UUID:
    """Submit one document; returns the job's id."""
    given = submit_one(database, tenant_id, "classify", {"text": one, "labels": LABELS}, JobOptions())
    assert given.job_id is not None
    return given.job_id


def waiting(owner: Owner) -> int:
    """Jobs that have not landed."""
    rows = [*owner.execute(_UNDER_WAY).fetchall(), *owner.execute(_AT_WORK).fetchall()]
    return sum(int(row[0]) for row in rows)


def wait_until_landed(
    owner: Owner,
    tell: Tell,
    what: str,
    *,
    beside: Callable[[int], None] | None = None,
    enough: Callable[[], bool] | None = None,
) -> None:
    """Wait until no job is left, or it is enough.

    Args:
        beside: told, twice a second, how many have not landed.

    Raises:
        Stuck: the number has not changed for 90 s.
    """
    least, changed, told = -1, time.monotonic(), 0.0
    while (left := waiting(owner)) > 0 and not (enough and enough()):
        now = time.monotonic()
        if left != least:
            least, changed = left, now
        if now - changed > SILENCE_SECONDS:
            raise Stuck(f"{what}: {left:,} jobs have not landed, and none has for {SILENCE_SECONDS:g} s")
        if now - told > TELL_SECONDS:
            told = now
            tell(f"{what}: {left:,} jobs left")
        if beside:
            beside(left)
        time.sleep(POLL_SECONDS)


def column(owner: Owner, statement: LiteralString, *parameters: object) -> Sequence[Any]:
    """The first column of a query."""
    return [row[0] for row in owner.execute(statement, parameters or None).fetchall()]


def number(owner: Owner, statement: LiteralString, *parameters: object) -> float:
    """A query's one number."""
    return float(column(owner, statement, *parameters)[0])
