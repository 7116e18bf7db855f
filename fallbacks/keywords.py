"""Where a producer's words and phrases stand in a text: whole words, ignoring case, in any script.

One pass over the text's words, however many phrases there are; phrases that do not begin with a letter or digit, or
whose script has no spaces, are searched for one by one in the first :data:`SEARCHED_CHARS` characters.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fallbacks.words import UNSPACED

SEARCHED_CHARS = 20_000

_WORD = re.compile(f"[^\\W{UNSPACED}]+")

_ByLength = dict[int, dict[tuple[str, ...], list[tuple[int, list[str]]]]]
"""Phrases (index and parts between white space) by their number of words, then by those words."""


@dataclass(frozen=True, slots=True)
class Hit:
    """The first place of a phrase: its index in what was searched for, and offsets in the original text."""

    phrase: int
    start: int
    end: int


def find(text: str, phrases: Sequence[str]) -> list[Hit]:
    """The first place of each phrase that stands in the text, in the order of the phrases."""
    folded, origins = _folded(text)
    by_word, others = _indexed(phrases)
    first: dict[int, tuple[int, int]] = {}
    for index, start, end in (*_by_words(folded, by_word), *_one_by_one(folded[:SEARCHED_CHARS], others)):
        if index not in first or start < first[index][0]:
            first[index] = (start, end)
    return [Hit(index, *_original(start, end, origins)) for index, (start, end) in sorted(first.items())]


def _folded(text: str) -> tuple[str, list[int] | None]:
    """The text casefolded, and where each of its characters came from (None where nothing moved)."""
    folded = text.casefold()
    # Folding never removes a character, so equal lengths mean that each became exactly one.
    if len(folded) == len(text):
        return folded, None
    return folded, [index for index, char in enumerate(text) for _ in char.casefold()]


def _indexed(phrases: Sequence[str]) -> tuple[dict[str, _ByLength], list[tuple[int, list[str]]]]:
    """Phrases by the word that they begin with, and those that begin with no word."""
    by_word: dict[str, _ByLength] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    others: list[tuple[int, list[str]]] = []
    for index, phrase in enumerate(phrases):
        for form in _forms(phrase):
            parts = form.casefold().split()
            if parts and _WORD.match(parts[0]):
                key = tuple(_WORD.findall(" ".join(parts)))
                by_word[key[0]][len(key)][key].append((index, parts))
            elif parts:
                others.append((index, parts))
    return by_word, others


def _forms(phrase: str) -> set[str]:
    """The text is not normalised, so that offsets stay; both usual forms of accents are looked for instead."""
    if phrase.isascii():
        return {phrase}
    return {unicodedata.normalize("NFC", phrase), unicodedata.normalize("NFD", phrase)}


def _by_words(folded: str, by_word: dict[str, _ByLength]) -> Iterator[tuple[int, int, int]]:
    if not by_word:
        return
    found: set[int] = set()
    tokens = [(match.group(), match.start()) for match in _WORD.finditer(folded)]
    for at, (word, start) in enumerate(tokens):
        for length, by_key in by_word.get(word, {}).items():
            key = tuple(token for token, _ in tokens[at : at + length])
            for index, parts in by_key.get(key, ()):
                end = _end(folded, start, parts) if index not in found else None
                if end is not None:
                    found.add(index)
                    yield index, start, end


def _one_by_one(folded: str, others: list[tuple[int, list[str]]]) -> Iterator[tuple[int, int, int]]:
    for index, parts in others:
        start = folded.find(parts[0])
        while start >= 0:
            end = _end(folded, start, parts)
            if end is not None:
                yield index, start, end
                break
            start = folded.find(parts[0], start + 1)


def _end(folded: str, start: int, parts: list[str]) -> int | None:
    """Where the phrase that begins at ``start`` ends; None where it does not stand there as whole words."""
    if start and _joins(parts[0][0]) and _joins(folded[start - 1]):
        return None
    end = start
    for number, part in enumerate(parts):
        at = end
        while number and at < len(folded) and folded[at].isspace():
            at += 1
        if (number and at == end) or not folded.startswith(part, at):
            return None
        end = at + len(part)
    if end < len(folded) and _joins(parts[-1][-1]) and (_joins(folded[end]) or unicodedata.combining(folded[end])):
        return None
    return end


def _joins(char: str) -> bool:
    """Whether a neighbouring letter would make another word of it: not in scripts without spaces."""
    return _WORD.match(char) is not None


def _original(start: int, end: int, origins: list[int] | None) -> tuple[int, int]:
    return (start, end) if origins is None else (origins[start], origins[end - 1] + 1)
