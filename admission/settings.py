"""What an operator may set about admission."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.admission import Limits

ANY_MODEL = "*"
UNLIMITED = Limits()


@dataclass(frozen=True)
class GateSettings:
    """Settings of a :class:`admission.gate.Gate`; the same in all workers.

    Attributes:
        limits: configured limits by model id, ``*`` for those not named; they cap what is learned. None in a limit: learned.
        wait_seconds: a place that frees up within this is reserved and waited for; a longer wait is a refusal.
        first_concurrent: calls at a time to a provider of which nothing is known.
        breaker_failures, breaker_share: the breaker opens at that many failures within 10 s that are that part of all
            calls.
        breaker_open_seconds, breaker_open_max_seconds: first and longest time until a probe; each failed probe doubles it.
        probe_seconds: a probe that has not ended by then is taken for dead, and another one may try.
        redis_timeout_seconds: for one answer of Redis.
        redis_again_seconds: how often Redis is tried while it is away.
    """

    limits: Mapping[str, Limits] = field(default_factory=dict)
    wait_seconds: float = 2.0
    first_concurrent: int = 4
    breaker_failures: int = 5
    breaker_share: float = 0.5
    breaker_open_seconds: float = 5.0
    breaker_open_max_seconds: float = 60.0
    probe_seconds: float = 30.0
    redis_timeout_seconds: float = 0.5
    redis_again_seconds: float = 2.0

    def limits_of(self, model: str) -> Limits:
        """What is configured for a model."""
        return self.limits.get(model) or self.limits.get(ANY_MODEL) or UNLIMITED
