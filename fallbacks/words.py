"""Words of any script, for counting and comparing texts. Pure and linear in the length of the text."""

import re
import unicodedata

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Character class (without brackets) of scripts written without spaces: Thai, Lao, Burmese, Khmer, kana, Han."""

_UNSPACED_RUN = re.compile(f"[{UNSPACED}]+")
_UNSPACED_CHAR = re.compile(f"[{UNSPACED}]")
_TOKEN = re.compile(f"[{UNSPACED}]+|[^\\W_{UNSPACED}](?:[^\\W_{UNSPACED}]|[\u0300-\u036f\u064b-\u0652\u0900-\u0dff])*")
_EXTENDERS = {"\u200d", "\ufe0f", "\ufe0e"}
_LONGEST_CLUSTER = 16
"""A cut never moves back further than this to keep a character and its marks together; texts of marks only exist."""


def words(text: str) -> list[str]:
    """The words, compatibility-normalised and casefolded; unspaced scripts give overlapping pairs of characters."""
    found: list[str] = []
    for token in _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold()):
        if _UNSPACED_CHAR.match(token) and len(token) > 1:
            found += [token[i : i + 2] for i in range(len(token) - 1)]
        else:
            found.append(token)
    return found


def word_count(text: str) -> int:
    """How many words a reader would count.

    Pieces between white space; a run of a script without spaces counts one word per two characters, about the mean
    length of a Chinese word. Never less than ``len(text.split())``, so a limit held by this count is held by that one.
    """
    unspaced = _UNSPACED_CHAR.search(text) is not None
    if not unspaced:
        return len(text.split())
    return sum(_weight(token) for token in text.split())


def is_quotable(text: str, start: int, end: int) -> bool:
    """Whether ``text[start:end]`` can be evidence: it holds a letter or digit and cuts no number in two."""
    if not any(map(str.isalnum, text[start:end])):
        return False
    cut_before = start > 0 and text[start].isdigit() and text[start - 1].isdigit()
    cut_after = end < len(text) and text[end - 1].isdigit() and text[end].isdigit()
    return not (cut_before or cut_after)


def _weight(token: str) -> int:
    return max(1, sum((len(run) + 1) // 2 for run in _UNSPACED_RUN.findall(token)))


def cut(text: str, max_words: int, max_chars: int) -> str:
    """The longest beginning of ``text`` within both limits, ending between words where there is such a place.

    The result is a prefix of ``text`` without white space at its end; empty when ``max_words`` is 0.
    """
    kept, end = 0, 0
    for token in re.finditer(r"\S+", text[: max_chars + 1]):
        weight = _weight(token.group())
        if kept + weight > max_words or token.end() > max_chars:
            if _UNSPACED_CHAR.search(token.group()) or end == 0:
                end = _cut_inside(text, token.start(), max_words - kept, max_chars) or end
            break
        kept, end = kept + weight, token.end()
    return text[:end].rstrip()


def _cut_inside(text: str, start: int, max_words: int, max_chars: int) -> int:
    """Where to end inside the token that begins at ``start``; 0 when not even its first character fits."""
    if max_words < 1:
        return 0
    end = min(start + _room(text, start, max_words, max_chars), max_chars, len(text))
    for _ in range(_LONGEST_CLUSTER):
        if end <= start + 1 or end >= len(text) or not _extends(text[end], text[end - 1]):
            break
        end -= 1
    return end if end > start else 0


def _room(text: str, start: int, max_words: int, max_chars: int) -> int:
    """Characters from ``start`` that make up at most ``max_words`` words."""
    token = text[start:max_chars]
    if not _UNSPACED_CHAR.search(token):
        return len(token)
    low, high = 0, len(token)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _weight(token[:middle]) <= max_words else (low, middle - 1)
    return low


def _extends(char: str, before: str) -> bool:
    """Whether ``char`` belongs to the visible character or the number that ``before`` began or continues."""
    return (
        (char.isdigit() and before.isdigit())
        or char in _EXTENDERS
        or before == "\u200d"
        or unicodedata.combining(char) > 0
        or "\U0001f3fb" <= char <= "\U0001f3ff"
    )
