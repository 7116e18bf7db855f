"""The document text of a request, and what is refused as one."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_TEXT_CHARS = 1_000_000
"""Longest accepted document, in characters: more than any model of today reads at once (about 300,000 tokens)."""


def storable(text: str) -> str:
    """Refuse what PostgreSQL or UTF-8 cannot hold, saying where it stands."""
    nul = text.find("\x00")
    if nul >= 0:
        raise ValueError(f"holds a NUL character at position {nul}; remove it (it is not text)")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"holds half of a surrogate pair at position {error.start}; send whole Unicode characters"
        ) from None
    return text


def not_blank(text: str) -> str:
    """Refuse a text in which there is nothing to read."""
    if not any(not (c.isspace() or unicodedata.category(c) in {"Cf", "Cc"}) for c in text):
        raise ValueError("is empty; send at least one visible character")
    return text


Line = Annotated[str, AfterValidator(storable)]
"""A short string that can be stored."""

DocumentText = Annotated[str, Field(max_length=MAX_TEXT_CHARS), AfterValidator(storable), AfterValidator(not_blank)]
"""The text that a task works on."""
