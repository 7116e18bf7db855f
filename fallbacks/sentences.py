"""Sentences of a text with their places, tolerant of languages, wrapped lines, lists, mails, tables and Markdown.

Sentence ends within a paragraph come from ``sentencex``; this module decides which line breaks end a sentence, which
lines are no prose at all, and cuts what would be endless. Linear in the length of the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sentencex import segment

from fallbacks.words import is_quotable

MAX_SENTENCE_CHARS = 600
"""A longer sentence (or a text without any sentence end) is cut at white space into pieces no longer than this."""

_WRAPPED_AT = 40
"""A line shorter than this was ended on purpose, not by wrapping."""

_LANGUAGE_SAMPLE = 4000
_SMALL_WORDS = {
    "en": "the and of to is that with for this was are have",
    "de": "der die das und ist nicht mit für ein eine den auf",
    "fr": "le la les des et est une dans pour pas que vous",
    "es": "el los las que una por con para está del y se",
    "it": "il che di per una non con sono della è gli nel",
    "nl": "de het een en van dat niet met voor zijn op is",
    "pl": "i w nie na się do jest że z to przez oraz",
    "pt": "o os que não uma com para do da em é ao",
}
_TITLE = re.compile(
    r"(?<![^\W_])(?:M|MM|Mme|Mlle|Mgr|Dr|Dra|Prof|Mr|Mrs|Ms|Sr|Sra|Srta|Sig|Dott|Dhr|Mevr|Hr|Fr|Hrn|Nr|dr|prof|ul|np)\.\s*$"
)
"""Abbreviations after which ``sentencex`` ends a sentence in one language or another."""

_ORDINAL = re.compile(r"\s\d{1,2}\.\s*$")
_LONGEST_OPENING = 12
_MARKER = re.compile(r"(?:[-*+•·‣–—]|\(?\d{1,3}[.)]|\(?[a-z][.)]|#{1,6})\s+")
_QUOTED = re.compile(r"\s*(?:>\s?)+")
_PIPED_ROW = re.compile(r"\s*\|.*\||[\s|:=_+*#~-]+$")
_COLUMN_GAP = re.compile(r"\S(?:\t| {3,})(?=\S)")
_HEADING = re.compile(r"\s*#{1,6}\s")
_SPEAKER = re.compile(r"\s*[^\W\d_][\w .'’()-]{0,38}:\s")
_END = re.compile("[.!?…。！？؟۔।:;]['\")\\]»”’」』]*\\s*$")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A piece of a text, in code points: ``source[start:end] == text``, without white space at its ends.

    ``prose`` is false for headings, table rows and the quoted lines of a mail.
    """

    start: int
    end: int
    text: str
    prose: bool = True


def language(text: str) -> str:
    """The language whose small words are most frequent at the beginning, as an ISO 639-1 code; ``en`` when unsure.

    Good enough for choosing abbreviations (Dr., z. B., p. ex.), not a language detector.
    """
    tokens = text[:_LANGUAGE_SAMPLE].casefold().split()
    best, most = "en", 0
    for code, small in _SMALL_WORDS.items():
        known = set(small.split())
        count = sum(token in known for token in tokens)
        if count > most:
            best, most = code, count
    return best


def sentences(text: str) -> list[Sentence]:
    """All pieces that can be quoted (see ``is_quotable``), in the order of the text; none overlaps another."""
    found: list[Sentence] = []
    code = language(text)
    for start, end, prose in _blocks(text):
        for at, upto in _split(code, text, start, end):
            piece = _trimmed(text, at, upto)
            if piece is not None:
                found.append(Sentence(piece[0], piece[1], text[piece[0] : piece[1]], prose))
    return found


def has_speakers(text: str, sample_lines: int = 200) -> bool:
    """Whether at least three lines in ten begin like a turn of speech: ``Name: words``."""
    lines = [line for line in text[: sample_lines * 200].splitlines()[:sample_lines] if line.strip()]
    turns = sum(_SPEAKER.match(line) is not None for line in lines)
    return len(lines) >= 4 and turns * 10 >= len(lines) * 3


def _blocks(text: str) -> Iterator[tuple[int, int, bool]]:
    """Runs of lines that belong together: a wrapped paragraph, one list item, one heading, one table row."""
    opened: int | None = None
    closed = 0
    before = ""
    for start, end in _lines(text):
        line = text[start:end]
        blank = not line.strip()
        quoted = _QUOTED.match(line)
        alone = quoted is not None or _HEADING.match(line) is not None or _is_table_row(line)
        if opened is not None and (blank or alone or not _continues(before, line)):
            yield opened, closed, True
            opened = None
        if blank:
            continue
        if alone:
            yield start + (quoted.end() if quoted else 0), end, False
        else:
            opened, closed = (start if opened is None else opened), end
        before = line
    if opened is not None:
        yield opened, closed, True


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for line in text.splitlines(keepends=True):
        yield start, start + len(line)
        start += len(line)


def _is_table_row(line: str) -> bool:
    return _PIPED_ROW.match(line) is not None or len(_COLUMN_GAP.findall(line[:1000])) >= 2


def _continues(before: str, line: str) -> bool:
    """Whether a line is the wrapped continuation of the line before it."""
    if _MARKER.match(line.lstrip()) or _SPEAKER.match(line):
        return False
    last = before.rstrip()
    first = line.lstrip()[:1]
    return not _END.search(last[-20:]) and (len(last) >= _WRAPPED_AT or first.islower())


def _split(code: str, text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begin = at = start
    for piece in segment(code, text[start:end]):
        at += len(piece)
        if at < end and _is_open(code, piece[-_LONGEST_OPENING:]):
            continue
        yield from _bounded(text, begin, at)
        begin = at
    yield from _bounded(text, begin, end)


def _is_open(code: str, piece_end: str) -> bool:
    """Whether a piece ends in what goes on: a title before a name, or a German day before its month."""
    return _TITLE.search(piece_end) is not None or (code == "de" and _ORDINAL.search(piece_end) is not None)


def _bounded(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > MAX_SENTENCE_CHARS:
        space = max(text.rfind(gap, start + 1, start + MAX_SENTENCE_CHARS) for gap in (" ", "\n", "\t", "，", "、"))
        stop = space + 1 if space > start else start + MAX_SENTENCE_CHARS
        yield start, stop
        start = stop
    if end > start:
        yield start, end


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    lead = len(piece) - len(piece.lstrip())
    marker = _MARKER.match(piece, lead)
    begin = start + (marker.end() if marker else lead)
    begin += len(text[begin:end]) - len(text[begin:end].lstrip())
    upto = begin + len(text[begin:end].rstrip())
    return (begin, upto) if is_quotable(text, begin, upto) else None
