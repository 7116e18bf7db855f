"""Requests per minute of each key, counted together by all web processes; by each alone while Redis is away."""

import math
import time
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

RETRY_SECONDS = 5.0
"""After a failure Redis is not asked again for so long: each request would wait for it."""


@dataclass(frozen=True)
class Count:
    """Where a key stands after this request.

    Attributes:
        reset_seconds: until there is room again.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """As the IETF draft "RateLimit header fields for HTTP" (version 10) names them."""
        found = {
            "RateLimit-Policy": f'"key";q={self.limit};w=60',
            "RateLimit": f'"key";r={self.remaining};t={self.reset_seconds}',
        }
        return found if self.allowed else {**found, "Retry-After": str(self.reset_seconds)}


class Rates:
    """Counts requests.

    Args:
        redis_url: None counts in this process alone.
    """

    def __init__(self, redis_url: str | None, **redis_options: Any) -> None:
        self._alone = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared = None
        if redis_url is not None:
            storage = RedisStorage(redis_url, key_prefix="assay:rates", **redis_options)
            self._shared = SlidingWindowCounterRateLimiter(storage)
        self._away_until = 0.0

    def count(self, who: str, per_minute: int) -> Count:
        """Count one request."""
        limit = RateLimitItemPerMinute(per_minute)
        if self._shared is not None and time.monotonic() >= self._away_until:
            try:
                return _counted(self._shared, limit, who)
            except RedisError:
                self._away_until = time.monotonic() + RETRY_SECONDS
        return _counted(self._alone, limit, who)


def _counted(limiter: SlidingWindowCounterRateLimiter, limit: RateLimitItemPerMinute, who: str) -> Count:
    allowed = limiter.hit(limit, who)
    stats = limiter.get_window_stats(limit, who)
    seconds = max(1, math.ceil(stats.reset_time - time.time()))
    return Count(allowed, limit.amount, max(0, int(stats.remaining)) if allowed else 0, min(60, seconds))
