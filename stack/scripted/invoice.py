"""The invoice: what the provider bills for each call that it accepted, and when each arrived.

What is billed:

1. An error status, and a connection cut before the first event: nothing. So is an answer that never begins (``hang``),
   and a body that is no message.
2. A stream: what its events have reported. ``message_start`` reports the whole input and the first token of output,
   ``message_delta`` at the end all of the output. A stream that the provider cuts, or whose caller goes away in the
   middle, is billed for the events written until then: exactly what a caller who reads them knows too.
3. A caller who goes away before the first byte is billed as if it had stayed: the work was done, and only the provider
   knows of it.
4. A whole answer is billed whole, whether or not it is read.

So the sum of what a caller booked equals the invoice, but for calls whose caller died or gave up before it had read
what was on its way: those it has to show as unknown.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(slots=True)
class Charge:
    """One accepted call on the invoice, kept small: a long run makes a hundred thousand of them.

    Attributes:
        serial, series: the call's number, never used twice within a start of the provider, and what tells its starts
            apart.
        at: seconds from the provider's start to the call's arrival.
        digest: of the request's messages, see :func:`digest_of`.
        rule: the rule that chose the play; ``storm`` or ``limit`` where one of these did; None by default.
        status: the HTTP status; 0 where no status line was to be sent.
        complete: the last byte was written while the caller was still connected.
    """

    serial: int
    series: str
    at: float
    model: str
    digest: str
    play: str = "answer"
    rule: str | None = None
    status: int = 200
    input_tokens: int = 0
    output_tokens: int = 0
    complete: bool = False

    @property
    def request_id(self) -> str:
        """The id that the caller sees."""
        return f"req_{self.series}_{self.serial:06d}"

    def bill(self, told: "Told") -> None:
        """Bill what was reported, which only grows."""
        self.input_tokens, self.output_tokens = told

    def as_row(self) -> dict[str, Any]:
        """As it stands in the invoice's JSON; ``usage`` has the names of ``schemas.usage``."""
        return {
            "request_id": self.request_id,
            "model": self.model,
            "digest": self.digest,
            "rule": self.rule,
            "play": self.play,
            "status": self.status,
            "usage": {
                "input_tokens": self.input_tokens,
                "output_tokens": self.output_tokens,
                "cache_read_tokens": 0,
                "cache_write_tokens": 0,
            },
            "complete": self.complete,
            "at": self.at,
        }


class Told(NamedTuple):
    """Tokens that the events of a stream have reported so far."""

    input_tokens: int
    output_tokens: int


class Arrival(NamedTuple):
    """A call that came in.

    Attributes:
        at: seconds from the provider's start.
        status: the HTTP status it got; 0 where no status line was to be sent.
    """

    at: float
    status: int
    model: str


def digest_of(messages: list[dict[str, Any]]) -> str:
    """What tells calls with the same turns from others, without their text: 16 hex digits of a SHA-256.

    Over the turns as JSON with sorted keys and without spaces, so that turns read back from a database give the same.
    """
    return sha256(_CANONICAL.encode(messages).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def busiest(moments: Iterable[float], seconds: float) -> int:
    """The most of these moments that lie in any window of this length, its end excluded.

    Example::

        busiest([a.at for a in provider.arrivals() if a.status != 429], 60)
    """
    ordered = sorted(moments)
    return max((bisect_left(ordered, at + seconds) - number for number, at in enumerate(ordered)), default=0)
