"""The provider's windows in Redis: who has a place in them."""

from dataclasses import dataclass
from typing import Any

import redis

KEYS = "*}:admission:*"
FLIGHTS = f"{KEYS}:flight"
"""Sorted sets: attempts by the time, in seconds since 1970, when their reservation ends by itself."""


@dataclass(frozen=True)
class Reservation:
    """A place in a window that nobody has given back.

    Attributes:
        attempt: ``<job id>:<attempt number>:<fence>``.
        seconds: until it ends by itself.
    """

    key: str
    attempt: str
    seconds: float


def reserved(broker: "redis.Redis") -> list[Reservation]:
    """Reservations that have not expired, by the server's clock."""
    answered: Any = broker.time()
    now = float(answered[0]) + float(answered[1]) / 1e6
    found = []
    for key in sorted(broker.scan_iter(match=FLIGHTS, count=1000)):
        flying: Any = broker.zrangebyscore(key, now, "+inf", withscores=True)
        found += [Reservation(key, attempt, until - now) for attempt, until in flying]
    return found


def forget(broker: "redis.Redis") -> None:
    """Nothing learnt in one scenario slows the next."""
    keys = list(broker.scan_iter(match=KEYS, count=1000))
    if keys:
        broker.delete(*keys)
