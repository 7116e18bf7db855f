"""Ids. UUID version 7 (RFC 9562): their order is the order of making, so indexes grow at one end and time ranges are id ranges."""

import secrets
import threading
import time
from uuid import UUID

_STEPS = 1 << 12
"""Of a millisecond: the fraction stands in ``rand_a``, as RFC 9562, 6.2, method 3 has it and PostgreSQL's ``uuidv7()`` does."""

_lock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """A fresh UUIDv7, greater than every one that this process made before: what came first also goes first."""
    global _last  # noqa: PLW0603 - the order is the process's
    with _lock:
        _last = now = max(time.time_ns() * _STEPS // 1_000_000, _last + 1)
    milliseconds, fraction = divmod(now, _STEPS)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | secrets.randbits(62))
