"""What admission knows of models and tenants, read from the Redis that workers share."""

from redis.exceptions import RedisError

from admission.settings import GateSettings
from admission.shared import SharedWindows
from schemas.admission import ScopeState
from web.site import REDIS_SECONDS, Site

PART = "operators.windows"


def open_windows(site: Site) -> SharedWindows | None:
    """A reader; None where workers share no Redis. It connects when it is first used."""
    url = site.settings.redis_url
    if url is None:
        return None
    return SharedWindows(url, "", GateSettings(redis_timeout_seconds=REDIS_SECONDS), "assay", None)


def read_windows(site: Site) -> list[ScopeState] | None:
    """All scopes used within the last hour; None: Redis is away, or there is none."""
    windows: SharedWindows | None = site.parts.get(PART)
    if windows is None:
        return None
    try:
        return windows.snapshot()
    except RedisError:
        return None


def closed_models(scopes: list[ScopeState] | None) -> list[str]:
    """Models that take no calls now."""
    return [
        one.name for one in scopes or [] if one.scope == "model" and (one.breaker != "closed" or one.paused_seconds)
    ]
