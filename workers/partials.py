"""Partial text with this installation's settings."""

from partials.writer import PartialWriter
from schemas.settings import Settings


def partial_writer(settings: Settings) -> PartialWriter | None:
    """What passes partial text on; None where there is no key to seal it with, or no Redis to pass it through."""
    if settings.stream_key is None or settings.redis_url is None:
        return None
    return PartialWriter(settings.redis_url, settings.stream_key.get_secret_value())
