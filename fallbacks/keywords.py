"""Where a producer's words and phrases stand in a text: whole words, ignoring case, in any script.

One pass over the text's words, however many phrases there are; phrases that do not begin with a letter or digit, or
whose script has no spaces, are searched for one by one in the first :data:`SEARCHED_CHARS` characters.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fallbacks.words import UNSPACED

SEARCHED_CHARS = 100_000

_WORD = re.compile(f"[^\\W{UNSPACED}]+")
_BOUNDARY_BEFORE = "(?<![^\\W%s])" % UNSPACED  # noqa: UP031  (a brace-free pattern reads better)
_BOUNDARY_AFTER = "(?![^\\W%s]|[\u0300-\u036f])" % UNSPACED  # noqa: UP031


@dataclass(frozen=True, slots=True)
class Hit:
    """One place of a phrase: ``phrase`` is its index in what was searched for, the offsets are of the original text."""

    phrase: int
    start: int
    end: int


def find(text: str, phrases: Iterable[str]) -> Iterator[Hit]:
    """Every place of every phrase; the order is fixed but not that of the text."""
    folded, origins = _folded(text)
    by_word, others = _indexed(phrases)
    for token in _WORD.finditer(folded):
        for index, pattern in by_word.get(token.group(), ()):
            match = pattern.match(folded, token.start())
            if match:
                yield _hit(index, match, origins)
    for index, pattern in others:
        for match in pattern.finditer(folded, 0, SEARCHED_CHARS):
            yield _hit(index, match, origins)


def _folded(text: str) -> tuple[str, list[int] | None]:
    """The text casefolded, and where each of its characters came from (None where nothing moved)."""
    folded = text.casefold()
    # Folding never removes a character, so equal lengths mean that each became exactly one.
    if len(folded) == len(text):
        return folded, None
    origins = [index for index, char in enumerate(text) for _ in char.casefold()]
    return folded, [*origins, len(text)]


def _indexed(
    phrases: Iterable[str],
) -> tuple[dict[str, list[tuple[int, re.Pattern[str]]]], list[tuple[int, re.Pattern[str]]]]:
    """Patterns by the word they begin with, and those that begin with no word."""
    by_word: dict[str, list[tuple[int, re.Pattern[str]]]] = {}
    others: list[tuple[int, re.Pattern[str]]] = []
    for index, phrase in enumerate(phrases):
        # The text is not normalised, so that offsets stay; both usual forms of accents are looked for instead.
        for form in sorted({unicodedata.normalize("NFC", phrase), unicodedata.normalize("NFD", phrase)}):
            parts = form.casefold().split()
            if not parts:
                continue
            after = _BOUNDARY_AFTER if _spaced(parts[-1][-1]) else ""
            pattern = re.compile(r"\s+".join(map(re.escape, parts)) + after)
            first = _WORD.match(parts[0])
            if first:
                by_word.setdefault(first.group(), []).append((index, pattern))
            else:
                others.append((index, re.compile((_BOUNDARY_BEFORE if _spaced(parts[0][0]) else "") + pattern.pattern)))
    return by_word, others


def _spaced(char: str) -> bool:
    """Whether this letter's script separates words, so that a neighbouring letter means another word."""
    return _WORD.match(char) is not None


def _hit(index: int, match: re.Match[str], origins: list[int] | None) -> Hit:
    if origins is None:
        return Hit(index, match.start(), match.end())
    return Hit(index, origins[match.start()], origins[match.end() - 1] + 1)
