"""Admission with this installation's settings."""

from collections.abc import Callable

from admission.gate import Gate
from admission.provider import provider_digest
from admission.settings import ANY_MODEL, GateSettings
from schemas.admission import Limits
from schemas.settings import PROVIDER_URL, Settings


def shared_gate(settings: Settings, processes: Callable[[], int]) -> Gate:
    """Admission, shared through Redis where there is one.

    Args:
        processes: how many worker processes live now.
    """
    key = settings.anthropic_api_key
    limits = Limits(
        requests=settings.requests_per_minute,
        input_tokens=settings.input_tokens_per_minute,
        output_tokens=settings.output_tokens_per_minute,
        concurrent=settings.concurrent_calls,
    )
    return Gate(
        _redis_url(settings),
        provider_digest(settings.anthropic_base_url or PROVIDER_URL, key.get_secret_value() if key else None),
        GateSettings(
            {ANY_MODEL: limits},
            breaker_failures=settings.breaker_failures,
            breaker_open_seconds=settings.breaker_open_seconds,
            breaker_open_max_seconds=settings.breaker_open_max_seconds,
        ),
        processes,
    )


def _redis_url(settings: Settings) -> str | None:
    """The Redis that workers share: REDIS_URL, else the broker where it is one server of that kind."""
    broker = settings.broker or ""
    is_one_redis = broker.startswith(("redis://", "rediss://", "valkey://", "valkeys://")) and ";" not in broker
    return settings.redis_url or (broker if is_one_redis else None)
