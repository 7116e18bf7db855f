"""The part of the queue that somebody looks at, as it stands in addresses: ``?task=extract&older=24``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Request

from schemas.review import QueueFilter
from tasks import catalogue
from web.access import AtDesk
from web.desk.words import KNOWN_REASONS

MOST_HOURS = 24 * 365 * 10


@dataclass(frozen=True)
class Shown:
    """A filter; what is not understood does not filter.

    Attributes:
        only: as the queue takes it.
        tenants: of which of them.
        values: by the name of the field, as sent back by the form.
    """

    only: QueueFilter
    tenants: tuple[str, ...]
    values: Mapping[str, str]

    @property
    def query(self) -> str:
        """``?...`` for addresses, or nothing."""
        return f"?{urlencode(self.values)}" if self.values else ""

    def with_(self, **values: str | None) -> str:
        """``?...`` with other values."""
        changed = {**self.values, **values}
        kept = {name: value for name, value in changed.items() if value}
        return f"?{urlencode(kept)}" if kept else "?"


def _shown(request: Request, signed_in: AtDesk) -> Shown:
    sent, mine = request.query_params, signed_in.principal.tenants
    values: dict[str, str] = {}
    if (task := sent.get("task", "")) in catalogue():
        values["task"] = task
    if (reason := sent.get("reason", "")) in KNOWN_REASONS:
        values["reason"] = reason
    if (tenant := sent.get("tenant", "")) in mine:
        values["tenant"] = tenant
    older, due = _hours(sent.get("older", "")), _hours(sent.get("due", ""))
    values |= {name: sent[name] for name, hours in (("older", older), ("due", due)) if hours is not None}
    only = QueueFilter(
        task=values.get("task"),
        reason=values.get("reason"),
        older_than=older,
        due_before=None if due is None else datetime.now(UTC) + due,
    )
    return Shown(only, (values["tenant"],) if "tenant" in values else mine, values)


def _hours(text: str) -> timedelta | None:
    if not (text.isascii() and text.isdecimal() and len(text) < 7 and 0 < int(text) <= MOST_HOURS):
        return None
    return timedelta(hours=int(text))


ShownPart = Annotated[Shown, Depends(_shown)]
"""As a parameter of a route."""
