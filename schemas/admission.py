"""Admission: whether a model call may be made now. Pure words; ``admission`` keeps the windows."""

from schemas.base import Contract


class Limits(Contract):
    """Limits of one scope (a model behind a key, or a tenant). None is unlimited, or not known yet.

    Attributes:
        requests, input_tokens, output_tokens: per minute.
        concurrent: calls at a time.
    """

    requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    concurrent: int | None = None


class SeenRates(Contract):
    """What a provider's response said of its own limits (``anthropic-ratelimit-...`` headers).

    Attributes:
        limits: per minute; ``concurrent`` is never said.
        requests_remaining, input_tokens_remaining, output_tokens_remaining: what it would still take now.
    """

    limits: Limits
    requests_remaining: int | None = None
    input_tokens_remaining: int | None = None
    output_tokens_remaining: int | None = None


class Ask(Contract):
    """A call that wants to be made. Its reservation belongs to the attempt and expires.

    Attributes:
        attempt: ``<job id>:<attempt number>:<fence>``, unique.
        model: the model id asked for.
        tenant: whose job it is.
        tenant_limits: what the operator allows this tenant.
        input_tokens: estimated.
        max_tokens: the call's cap on output tokens.
        expires_seconds: the reservation ends by itself after this.
    """

    attempt: str
    model: str
    tenant: str
    tenant_limits: Limits = Limits()
    input_tokens: int
    max_tokens: int
    expires_seconds: float


class Abandoned(Contract):
    """A call that its worker will not end: it is dead, or gave the job back.

    Attributes:
        attempt: as the :class:`Ask` had it.
        model: the model id asked for.
        tenant: whose job it is.
    """

    attempt: str
    model: str
    tenant: str


class Admitted(Contract):
    """The call may be made.

    Attributes:
        after: seconds to wait first; its place in the windows is reserved.
        probe: it is the one call that tries a provider whose breaker is open.
    """

    after: float = 0.0
    probe: bool = False


class NotNow(Contract):
    """The call may not be made now; nothing is reserved.

    Attributes:
        seconds: when to ask again.
        outage: the provider is away (its breaker is open); False: a window is full.
        detail: one plain sentence that names the scope and the window.
    """

    seconds: float
    outage: bool
    detail: str


class Room(Contract):
    """How many calls of a model may start soon; dispatch publishes no more.

    Attributes:
        calls: None is no limit.
    """

    model: str
    calls: int | None


class WindowState(Contract):
    """One rate window, as operators see it.

    Attributes:
        window: ``requests``, ``input_tokens`` or ``output_tokens``.
        limit: per minute.
        left: what may start at once; below zero is debt, which the next calls wait for.
    """

    window: str
    limit: int
    left: int


class ScopeState(Contract):
    """A scope of admission (a model behind a provider key, or a tenant), as operators see it.

    Attributes:
        scope: ``model`` or ``tenant``.
        name: the model id or the tenant id.
        provider: digest of the provider's address and key; empty for a tenant.
        shared: False is this process's own share, kept while Redis is away.
        windows: the rate windows in use.
        concurrent: calls at a time that may be in flight; None is no limit.
        in_flight: calls that hold a reservation now.
        learned: some limit was learned from the provider, not configured.
        breaker: ``closed``, ``open`` or ``probing``.
        breaker_seconds: how long it has been open; None while closed.
        paused_seconds: nothing starts before they are over (``retry-after``); 0 is not paused.
    """

    scope: str
    name: str
    provider: str
    shared: bool
    windows: list[WindowState]
    concurrent: int | None
    in_flight: int
    learned: bool
    breaker: str
    breaker_seconds: float | None
    paused_seconds: float
