"""What every request can reach: settings, database, broker, rates. Made once when the process starts."""

from dataclasses import dataclass
from typing import Annotated, Any

import redis
from fastapi import Depends, Request

from schemas.settings import Settings
from storage.database import Database
from web.rates import Rates

REDIS_SECONDS = 0.5
"""Redis is asked for rates and partial text only; a request does not wait longer for it."""


@dataclass(frozen=True)
class Site:
    """The parts of a web process.

    Attributes:
        redis: None where no Redis or Valkey is set: then rates are counted by this process alone, and there is no partial text.
        parts: what the routers add for themselves when the process starts, by name (e.g. the watchtower of the events).
    """

    settings: Settings
    database: Database
    redis: "redis.Redis | None"
    rates: Rates
    parts: dict[str, Any]

    def close(self) -> None:
        """Close what was opened."""
        self.database.close()
        if self.redis is not None:
            self.redis.close()


def connect_redis(settings: Settings) -> "redis.Redis | None":
    """A client of the Redis or Valkey that the workers share; connects when it is first used."""
    if settings.redis_url is None:
        return None
    return redis.Redis.from_url(settings.redis_url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)


def site_of(request: Request) -> Site:
    """The site of the process that answers."""
    site: Site = request.app.state.site
    return site


TheSite = Annotated[Site, Depends(site_of)]
"""As a parameter of a route."""
