"""What a response says of the provider's own limits."""

import re
from collections.abc import Mapping

from schemas.admission import Limits, SeenRates

_PREFIX = "anthropic-ratelimit-"
_WINDOWS = ("requests", "input-tokens", "output-tokens")
_COUNT = re.compile(r"[0-9]{1,12}", re.ASCII)


def seen_rates(headers: Mapping[str, str]) -> SeenRates | None:
    """The ``anthropic-ratelimit-...-limit`` and ``-remaining`` headers; None where there are none that can be read.

    What is no whole number is passed over. A limit of 0 too: no call could teach a better one. The ``tokens`` window
    counts as the one of input tokens where that is not told of.

    Args:
        headers: the response's headers, in any case.
    """
    said = {name.lower(): value for name, value in headers.items() if name.lower().startswith(_PREFIX)}
    if not said:
        return None
    limits = {window: _count(said, window, "limit") or None for window in _WINDOWS}
    left = {window: _count(said, window, "remaining") for window in _WINDOWS}
    if limits["input-tokens"] is None and left["input-tokens"] is None:
        limits["input-tokens"] = _count(said, "tokens", "limit") or None
        left["input-tokens"] = _count(said, "tokens", "remaining")
    if all(count is None for count in [*limits.values(), *left.values()]):
        return None
    return SeenRates(
        limits=Limits(
            requests=limits["requests"], input_tokens=limits["input-tokens"], output_tokens=limits["output-tokens"]
        ),
        requests_remaining=left["requests"],
        input_tokens_remaining=left["input-tokens"],
        output_tokens_remaining=left["output-tokens"],
    )


def _count(said: Mapping[str, str], window: str, what: str) -> int | None:
    text = said.get(f"{_PREFIX}{window}-{what}") or ""
    return int(text) if _COUNT.fullmatch(text) else None
