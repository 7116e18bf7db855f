"""What carries a value: the words of the document, where they stand, and how far the value follows from them."""

from enum import StrEnum

from pydantic import Field

from schemas.base import Contract

MAX_QUOTE_CHARS = 2000


class EvidenceStatus(StrEnum):
    """How far a value follows from its quote. ``UNSUPPORTED`` is a violation and never stands in an answer."""

    EXACT = "exact"  # the quote says it in these characters, case and spaces aside
    DERIVED = "derived"  # read off the quote by a rule: another notation of the same number, date or code
    LOOSE = "loose"  # cannot be told from the quote: a relative date, a choice, a tidied name
    UNSUPPORTED = "unsupported"  # the quote says something else, or nothing


class Evidence(Contract):
    """The words that carry one value.

    Attributes:
        quote: the words, as they stand in the document.
        start, end: their place in the text that the producer sent, in Unicode code points, end excluded.
        status: how far the value follows from them.
    """

    quote: str = Field(min_length=1, max_length=MAX_QUOTE_CHARS)
    start: int = Field(ge=0)
    end: int = Field(ge=1)
    status: EvidenceStatus


class Flag(Contract):
    """Something that a person should look at, though the answer keeps its contract.

    Attributes:
        pointer: JSON Pointer into the answer (``/data/total``, ``/key_points/0/point``).
        message: one plain sentence.
    """

    pointer: str
    message: str
