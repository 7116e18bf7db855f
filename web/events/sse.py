"""Server-sent events as bytes (WHATWG HTML, 9.2)."""

import json
from typing import Any

from fastapi.sse import format_sse_event

RETRY_MS = 1000
"""A client that was cut off comes back after so long."""
KEEP_ALIVE_SECONDS = 15.0
"""A silent stream says so as often: proxies close what is silent for a minute, and a client that is gone is noticed."""

OPENING = format_sse_event(retry=RETRY_MS)
KEEP_ALIVE = format_sse_event(comment="still here")


def event(name: str, data: dict[str, Any], *, id: str | None = None) -> bytes:  # noqa: A002  the field's name
    """One event.

    Args:
        data: goes out as JSON on one line.
        id: what a client that comes back sends as Last-Event-ID; None leaves the one before in force.
    """
    return format_sse_event(event=name, data_str=json.dumps(data, separators=(",", ":"), default=str), id=id)
