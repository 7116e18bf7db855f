"""Windows of this process alone, for as long as Redis is away: its share of what was last known.

Simpler than the shared ones on purpose: limits are not learned from refusals, only from headers, and the number of calls
at a time follows plain AIMD.
"""

import logging
import threading
from collections.abc import Callable

from admission.breaker import Breaker
from admission.ending import Ending, Kind
from admission.held import HeldHere, Reservation
from admission.local_scope import LocalModel, LocalScope, rates, window_states
from admission.pacing import PacedWindow
from admission.settings import GateSettings
from admission.shared import Known
from admission.words import why_not
from schemas.admission import Admitted, Ask, Limits, NotNow, Room, ScopeState, SeenRates

STORM_PAUSE_MAX_SECONDS = 16
PAUSE_MAX_SECONDS = 600
CLOSED_SECONDS = 60
"""For this long an ask under a limit of zero is sent away."""

_log = logging.getLogger(__name__)


class LocalWindows:
    """Admission by one process. Thread-safe; never raises.

    Args:
        provider: digest of the provider's address and key.
        processes: how many worker processes live now; limits are divided by it, rounded up. If it raises, the last count
            stands.
        clock: seconds, monotonic.
        held: the calls of this process, however they were admitted.
    """

    def __init__(
        self,
        provider: str,
        settings: GateSettings,
        processes: Callable[[], int],
        clock: Callable[[], float],
        held: HeldHere,
    ) -> None:
        self._provider = provider
        self._settings = settings
        self._processes = processes
        self._clock = clock
        self._held = held
        self._lock = threading.Lock()
        self._models: dict[str, LocalModel] = {}
        self._tenants: dict[str, LocalScope] = {}
        self._live = 1
        self._counted = float("-inf")

    def forget(self) -> None:
        """Redis is back: whatever was kept here is old the next time."""
        with self._lock:
            self._models.clear()
            self._tenants.clear()

    def admit(self, ask: Ask, known: Known | None) -> Admitted | NotNow:
        """All windows, or none."""
        with self._lock:
            now = self._clock()
            again = self._held.get(ask.attempt)
            if again is not None:
                return Admitted(after=max(0.0, again.start - now))
            self._held.expire(now)
            model, tenant = self._model(ask.model, known), self._tenants.setdefault(ask.tenant, LocalScope())
            self._set_limits(tenant, ask.tenant_limits, now)
            away = model.breaker.denies(now)
            if away > 0:
                return NotNow(seconds=away, outage=True, detail=why_not("model breaker", ask.model, ask.tenant))
            full = self._full(ask, model, tenant)
            if full is not None:
                return NotNow(seconds=1.0, outage=False, detail=why_not(full, ask.model, ask.tenant))
            return self._enter(ask, model, tenant, now)

    def settle(self, reservation: Reservation, ending: Ending) -> None:
        """A call is over that was admitted here, or by Redis before it went away."""
        ask = reservation.ask
        with self._lock:
            now = self._clock()
            model = self._model(ask.model, None)
            if reservation.is_local:
                self._correct(reservation, ending, model)
            if ending.seen is not None:
                self._heed(model, ask.model, ending.seen, now)
            self._learn(model, reservation, ending, now)

    def room(self, model_id: str, horizon_seconds: float, known: Known | None) -> Room:
        """How many calls this process may start within the horizon, times the processes."""
        with self._lock:
            now = self._clock()
            self._held.expire(now)
            model = self._model(model_id, known)
            if model.breaker.opened is not None:
                return Room(model=model_id, calls=0 if model.breaker.denies(now) else 1)
            till = now + horizon_seconds
            if model.paused > till:
                return Room(model=model_id, calls=0)
            calls = max(0, self._concurrent(model) - self._held.of_model(model_id))
            for name, amount in (("requests", 1.0), ("output_tokens", model.output_tokens)):
                window = model.windows.get(name)
                if window is not None and amount:
                    calls = min(calls, window.calls(max(now, model.paused), till, amount))
            return Room(model=model_id, calls=calls * self._count())

    def snapshot(self) -> list[ScopeState]:
        """What is kept here."""
        with self._lock:
            now = self._clock()
            return [self._model_state(name, model, now) for name, model in sorted(self._models.items())] + [
                self._tenant_state(name, tenant, now)
                for name, tenant in sorted(self._tenants.items())
                if tenant.limits != Limits()
            ]

    def _model(self, name: str, known: Known | None) -> LocalModel:
        """A model's state; it begins as this process's share of what was known."""
        if name not in self._models:
            limits = known.limits if known is not None else self._settings.limits_of(name)
            concurrent = self._share(limits.concurrent or self._settings.first_concurrent)
            model = LocalModel(breaker=Breaker(self._settings), concurrent=float(concurrent), grows_fast=known is None)
            model.output_tokens = known.output_tokens if known is not None else None
            self._models[name] = model
            self._set_limits(model, limits, self._clock())
        model = self._models[name]
        if model.shared_by != self._count():
            model.shared_by = self._live
            self._set_limits(model, model.limits, self._clock())
        return model

    def _count(self) -> int:
        """Live worker processes, asked for once a second at most."""
        now = self._clock()
        if now - self._counted >= 1:
            self._counted = now
            try:
                self._live = max(1, self._processes())
            except Exception as error:  # whatever it asks may be away too; the last count is the best there is
                _log.warning("admission: live processes cannot be counted (%s)", type(error).__name__)
        return self._live

    def _share(self, limit: int) -> int:
        """Rounded up: a process that could start nothing would strand its jobs."""
        return -(-limit // self._count())

    def _set_limits(self, scope: LocalScope, limits: Limits, now: float) -> None:
        scope.limits = limits
        for name, limit in rates(limits):
            share = self._share(limit) if limit else 0
            if share <= 0:
                scope.windows.pop(name, None)
            elif name in scope.windows:
                scope.windows[name].change(share, now)
            else:
                scope.windows[name] = PacedWindow(share, now)

    def _concurrent(self, model: LocalModel) -> int:
        return max(1, int(model.concurrent))

    def _full(self, ask: Ask, model: LocalModel, tenant: LocalScope) -> str | None:
        """The window without a foreseeable opening that has no place, if any."""
        closed = [
            f"{scope} {name}"
            for scope, state in (("model", model), ("tenant", tenant))
            for name, limit in rates(state.limits)
            if limit is not None and limit <= 0
        ]
        if closed:
            return closed[0]
        probes = model.breaker.opened is not None
        if self._held.of_model(ask.model) >= self._concurrent(model) and not probes:
            return "model concurrent"
        own = tenant.limits.concurrent
        if own is not None and self._held.of_tenant(ask.tenant) >= (self._share(own) if own > 0 else 0):
            return "tenant concurrent"
        return None

    def _enter(self, ask: Ask, model: LocalModel, tenant: LocalScope, now: float) -> Admitted | NotNow:
        expected = model.output_tokens if model.output_tokens is not None else ask.max_tokens / 4
        output = min(expected, ask.max_tokens)
        amounts = {"requests": 1.0, "input_tokens": float(ask.input_tokens), "output_tokens": output}
        start, why = (model.paused, "model pause") if model.paused > now else (now, "")
        for scope, state in (("model", model), ("tenant", tenant)):
            for name, window in state.windows.items():
                if window.opens > start:
                    start, why = window.opens, f"{scope} {name}"
        if start - now > self._settings.wait_seconds:
            return NotNow(seconds=start - now, outage=False, detail=why_not(why, ask.model, ask.tenant))
        for state in (model, tenant):
            for name, window in state.windows.items():
                window.take(start, amounts[name])
        is_probe = model.breaker.opened is not None
        if is_probe:
            model.breaker.probe(ask.attempt, start)
        self._held.add(Reservation(ask, start, start + ask.expires_seconds, output, is_local=True))
        return Admitted(after=start - now, probe=is_probe)

    def _correct(self, reservation: Reservation, ending: Ending, model: LocalModel) -> None:
        charged = {
            "input_tokens": float(reservation.ask.input_tokens),
            "output_tokens": reservation.output_tokens,
            "requests": 1.0,
        }
        used: dict[str, float] = dict(ending.used)
        if ending.kind is Kind.NOT_MADE:
            used["requests"] = 0.0
        for scope in (model, self._tenants.get(reservation.ask.tenant)):
            for name, actual in used.items():
                if scope is not None and name in scope.windows:
                    scope.windows[name].give_back(charged[name] - actual)

    def _heed(self, model: LocalModel, name: str, seen: SeenRates, now: float) -> None:
        """Limits that headers state, below those that are configured."""
        configured = self._settings.limits_of(name)
        told = {window: limit for window, limit in rates(seen.limits) if limit}
        capped = {window: min(limit, getattr(configured, window) or limit) for window, limit in told.items()}
        if capped:
            self._set_limits(model, model.limits.model_copy(update=capped), now)

    def _learn(self, model: LocalModel, reservation: Reservation, ending: Ending, now: float) -> None:
        attempt = reservation.ask.attempt
        match ending.kind:
            case Kind.ANSWERED:
                model.storms = 0
                configured = model.limits.concurrent
                step = 1.0 if model.grows_fast else 1.0 / model.concurrent
                cap = float(self._share(configured)) if configured else float("inf")
                model.concurrent = min(model.concurrent + step, cap)
                if "output_tokens" in ending.used:
                    actual, average = ending.used["output_tokens"], model.output_tokens
                    model.output_tokens = actual if average is None else average * 0.9 + actual * 0.1
                model.breaker.note(attempt, now, failed=False)
            case Kind.LIMITED:
                self._pause(model, ending.retry_after, reservation, now)
                self._cut(model, reservation, now)
                model.breaker.note(attempt, now, failed=False)
            case Kind.OVERLOADED:
                self._cut(model, reservation, now)
                model.breaker.note(attempt, now, failed=True)
            case Kind.BROKEN:
                model.breaker.note(attempt, now, failed=True)
            case Kind.UNTOLD | Kind.NOT_MADE:
                model.breaker.release(attempt)

    def _pause(self, model: LocalModel, retry_after: float, reservation: Reservation, now: float) -> None:
        if reservation.start > model.cut and now - model.cut >= 1:
            backoff = float(min(STORM_PAUSE_MAX_SECONDS, 2**model.storms))
            model.storms = min(model.storms + 1, 10)
            model.paused = max(model.paused, now + backoff)
        model.paused = max(model.paused, now + min(retry_after, PAUSE_MAX_SECONDS))

    def _cut(self, model: LocalModel, reservation: Reservation, now: float) -> None:
        if reservation.start > model.cut and now - model.cut >= 1:
            model.concurrent = max(1.0, (self._held.of_model(reservation.ask.model) + 1) // 2)
            model.cut, model.grows_fast = now, False

    def _model_state(self, name: str, model: LocalModel, now: float) -> ScopeState:
        opened = model.breaker.opened
        return ScopeState(
            scope="model",
            name=name,
            provider=self._provider,
            shared=False,
            windows=window_states(model, self._share, now),
            concurrent=self._concurrent(model),
            in_flight=self._held.of_model(name),
            learned=model.limits != self._settings.limits_of(name),
            breaker="closed" if opened is None else "open" if now < model.breaker.till else "probing",
            breaker_seconds=None if opened is None else now - opened,
            paused_seconds=max(0.0, model.paused - now),
        )

    def _tenant_state(self, name: str, tenant: LocalScope, now: float) -> ScopeState:
        own = tenant.limits.concurrent
        return ScopeState(
            scope="tenant",
            name=name,
            provider="",
            shared=False,
            windows=window_states(tenant, self._share, now),
            concurrent=self._share(own) if own else own,
            in_flight=self._held.of_tenant(name),
            learned=False,
            breaker="closed",
            breaker_seconds=None,
            paused_seconds=0.0,
        )
