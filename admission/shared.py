"""The windows of all workers, kept in Redis or Valkey: one script and one round trip per operation.

The scripts do all that must be atomic and read the server's clock; state and algorithm are described in ``window.lua``.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from admission.ending import Ending
from admission.settings import GateSettings
from admission.words import why_not
from schemas.admission import Abandoned, Admitted, Ask, Limits, NotNow, Room, ScopeState, WindowState

_PACED = 0.96  # as in window.lua
_WINDOWS = ("requests", "input_tokens", "output_tokens")


@dataclass(frozen=True)
class Known:
    """What is known of a model behind the provider's key; None: nothing.

    Attributes:
        limits: in force for all workers together.
        output_tokens: of an average call.
    """

    limits: Limits
    output_tokens: int | None


class SharedWindows:
    """Admission through the broker's Redis. Every method may raise ``redis.exceptions.RedisError``.

    Attributes:
        known: by model, as the last answer said.
    """

    def __init__(
        self, url: str, provider: str, settings: GateSettings, prefix: str, clock: Callable[[], float] | None
    ) -> None:
        self._provider = provider
        self._settings = settings
        self._clock = clock
        # One hash tag: a cluster keeps all keys of a script on one node.
        self._root = f"{{{prefix}}}:admission"
        # A connection that went stale is opened again at once; a server that does not answer is not asked twice.
        self._redis: Redis = Redis.from_url(
            url.replace("valkey://", "redis://", 1).replace(
                "valkeys://", "rediss://", 1
            ),  # redis-py knows no other name
            socket_timeout=settings.redis_timeout_seconds,
            socket_connect_timeout=settings.redis_timeout_seconds,
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        )
        self._admit, self._settle = self._script("admit"), self._script("ended", "learning", "settle")
        self._abandon = self._script("abandon")
        self._room, self._snapshot = self._script("room"), self._script("snapshot")
        self.known: dict[str, Known] = {}
        self._told: dict[str, list[int]] = {}
        self._configured: dict[str, dict[str, Any]] = {}

    def admit(self, ask: Ask) -> Admitted | NotNow:
        """All windows, or none."""
        model, tenant = self._model_scope(ask.model), self._tenant_scope(ask.tenant)
        settings = self._settings
        question = {
            "attempt": ask.attempt,
            "input_tokens": ask.input_tokens,
            "max_tokens": ask.max_tokens,
            "expires_seconds": ask.expires_seconds,
            "tenant_limits": _set(ask.tenant_limits),
            "wait_seconds": settings.wait_seconds,
            "probe_seconds": settings.probe_seconds,
            **self._of_model(ask.model),
        }
        admitted, micros, flag, what, *known = self._admit(
            keys=[self._key(model), self._key(tenant), self._key("index")],
            args=[self._now(), json.dumps(question), model, tenant],
        )
        self._learn(ask.model, known)
        if admitted:
            return Admitted(after=micros / 1e6, probe=bool(flag))
        return NotNow(seconds=micros / 1e6, outage=bool(flag), detail=why_not(what.decode(), ask.model, ask.tenant))

    def settle(self, ask: Ask, ending: Ending) -> bool:
        """End a reservation; False: the attempt does not hold one (any more), and nothing was done."""
        settings = self._settings
        done = {
            "attempt": ask.attempt,
            "kind": ending.kind,
            "used": ending.used,
            "retry_after": ending.retry_after,
            "tenant_limits": _set(ask.tenant_limits),
            "breaker_failures": settings.breaker_failures,
            "breaker_share": settings.breaker_share,
            "breaker_open_seconds": settings.breaker_open_seconds,
            "breaker_open_max_seconds": settings.breaker_open_max_seconds,
            **self._of_model(ask.model),
        }
        if ending.seen is not None:
            done["seen"] = _set(ending.seen.limits) | ending.seen.model_dump(exclude={"limits"}, exclude_none=True)
        held, *known = self._settle(
            keys=[self._key(self._model_scope(ask.model)), self._key(self._tenant_scope(ask.tenant))],
            args=[self._now(), json.dumps(done)],
        )
        self._learn(ask.model, known)
        return bool(held)

    def abandon(self, calls: Sequence[Abandoned]) -> int:
        """Free the places of calls that nobody will end.

        Returns:
            How many held a place.
        """
        scopes = [(self._model_scope(call.model), self._tenant_scope(call.tenant)) for call in calls]
        freed: int = self._abandon(
            keys=[self._key(scope) for pair in scopes for scope in pair],
            args=[self._now(), *(call.attempt for call in calls)],
        )
        return freed

    def room(self, model: str, horizon_seconds: float) -> Room:
        """How many calls may start within the horizon."""
        question = {"horizon_seconds": horizon_seconds, **self._of_model(model)}
        calls, *known = self._room(keys=[self._key(self._model_scope(model))], args=[self._now(), json.dumps(question)])
        self._learn(model, known)
        return Room(model=model, calls=calls)

    def snapshot(self) -> list[ScopeState]:
        """All scopes used within the last hour."""
        # The script prunes the index with every ask; states have a time to live of their own.
        members = cast("list[bytes]", self._redis.zrange(self._key("index"), 0, -1))
        scopes = sorted(member.decode() for member in members)
        if not scopes:
            return []
        *states, now = self._snapshot(keys=[self._key(scope) for scope in scopes], args=[self._now()])
        return [_scope_state(scope, json.loads(state), float(now)) for scope, state in zip(scopes, states, strict=True)]

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _script(self, *names: str) -> Script:
        package = files("admission")
        parts = [package.joinpath(f"{name}.lua").read_text("utf-8") for name in ("window", *names)]
        return self._redis.register_script("\n".join(parts))

    def _of_model(self, model: str) -> dict[str, Any]:
        found = self._configured.get(model)
        if found is None:
            limits = _set(self._settings.limits_of(model))
            found = self._configured[model] = {
                "limits": limits,
                "first_concurrent": self._settings.first_concurrent,
            }
        return found

    def _model_scope(self, model: str) -> str:
        return f"model:{self._provider}:{model}"

    def _tenant_scope(self, tenant: str) -> str:
        return f"tenant:{tenant}"

    def _key(self, scope: str) -> str:
        return f"{self._root}:{scope}"

    def _now(self) -> str:
        return "" if self._clock is None else repr(self._clock())

    def _learn(self, model: str, known: list[int]) -> None:
        if self._told.get(model) == known:
            return
        requests, input_tokens, output_tokens, concurrent, average = (None if n < 0 else n for n in known)
        limits = Limits(
            requests=requests, input_tokens=input_tokens, output_tokens=output_tokens, concurrent=concurrent
        )
        self.known[model], self._told[model] = Known(limits, average), known


def _set(limits: Limits) -> dict[str, int]:
    return limits.model_dump(exclude_none=True)


def _scope_state(scope: str, state: dict[str, Any], now: float) -> ScopeState:
    kind, _, rest = scope.partition(":")
    provider, _, name = rest.partition(":") if kind == "model" else ("", "", rest)
    found = state.get("windows") or {}
    breaker = state.get("breaker") or {"state": "closed"}
    concurrency = state.get("concurrency")
    is_open = breaker["state"] == "open"
    return ScopeState(
        scope=kind,
        name=name,
        provider=provider,
        shared=True,
        windows=[_window_state(window, found[window], now) for window in _WINDOWS if window in found],
        concurrent=max(1, int(concurrency["limit"])) if concurrency else None,
        in_flight=state["flying"],
        learned=bool(state.get("stated") or (state.get("learned") or {}).get("level")),
        breaker=("probing" if breaker["till"] <= now else "open") if is_open else "closed",
        breaker_seconds=now - breaker["since"] if is_open else None,
        paused_seconds=max(0.0, state.get("paused", 0.0) - now),
    )


def _window_state(name: str, window: dict[str, float], now: float) -> WindowState:
    limit = window["rate"] * 60 / _PACED
    burst = max(1.0, 0.04 * limit)
    return WindowState(
        window=name, limit=round(limit), left=round(burst - max(0.0, window["free"] - now) * window["rate"])
    )
