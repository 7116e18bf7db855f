"""Ids. UUID version 7 (RFC 9562): their order is the order of making, so indexes grow at one end and time ranges are id ranges."""

import secrets
import time
from uuid import UUID


def new_id() -> UUID:
    """A fresh UUIDv7."""
    milliseconds = time.time_ns() // 1_000_000
    return UUID(
        int=(milliseconds << 80) | (0x7 << 76) | (secrets.randbits(12) << 64) | (0b10 << 62) | secrets.randbits(62)
    )
