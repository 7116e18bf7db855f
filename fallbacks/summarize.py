"""The rule-based stand-in for summaries: sentences that really stand in the text, chosen by a stated rule.

Which rule, by what the text looks like (the first that fits):

1. ``talk`` (three lines in ten begin ``Name: ``): centrality with a floor, since turns like "Yeah ." are central to
   everything and say nothing. Turns under eight words are left out, others weighted by ``min(1, words / 25)``.
2. ``lead`` (a heading stands over the first prose, a news dateline begins it, or words of contracts are frequent):
   the first sentences, because such texts say what matters first.
3. ``central`` (all else): LexRank, the sentences most alike to the other sentences.

Bounds: at most :data:`MAX_RANKED` sentences, spread evenly over the text, are compared with each other; all other work
is linear. Nothing is rewritten: a summary is whole sentences of the text (white space aside) in their order, or, where
not one fits the limit, the beginning of the best one.
"""

import re
from collections import Counter
from enum import StrEnum
from math import log, sqrt

from fallbacks.sentences import Sentence, has_speakers, sentences
from fallbacks.words import cut, is_quotable, word_count, words
from schemas.summarize import KeyPoint, SummarizeRequest, Summary

DEFAULT_WORDS = 100
"""Upper bound where the producer states none."""

SHARE_OF_TEXT = 3
"""A summary takes at most one word in three of the text; of short ones half, and always one whole sentence that fits."""

SHORTEST_WORDS = 30
"""A summary up to this length may take half of the text."""

MAX_POINTS = 5
MAX_RANKED = 400
MAX_SUMMARY_CHARS = 20_000
MAX_POINT_CHARS = 1_000

_TALK_FLOOR_WORDS = 8
_TALK_FULL_WORDS = 25
_SHORT_SENTENCE_WORDS = 4
_DAMPING = 0.85
_ROUNDS = 20
_COMMON_SHARE = 0.1
"""Words in more sentences than this (and in more than ten) weigh little and cost much: they are left out."""

_ALIKE = 0.7
"""Two sentences with a larger cosine say the same: only the better one is taken."""

_DATELINE = re.compile(r"[^\n]{2,60}?(?:\([A-Z][A-Za-z]{1,12}\)\s*[-–—]|,?\s+\w+\.?\s+\d{1,2}\s*[-–—]\s)")
_LEGAL_WORDS = (
    "shall hereby herein thereof pursuant hereunder agreement licensee licensor lessee warranty liability indemnify "
    "vertrag vertragspartei haftung gemäß contrat présente prestataire contrato cláusula contratto umowa umowy"
)
_LEGAL = frozenset(_LEGAL_WORDS.split())
_LEGAL_SHARE = 0.015


class Strategy(StrEnum):
    """How sentences are chosen; the module's docstring says when."""

    TALK = "talk"
    LEAD = "lead"
    CENTRAL = "central"


def summarize(request: SummarizeRequest) -> Summary | None:
    """The summary, or None where nothing of the text can be quoted (punctuation, an endless number).

    Never more than ``request.max_words`` words (:func:`fallbacks.words.word_count`); every quote is a substring of
    ``request.text``.
    """
    found = sentences(request.text)
    if not found:
        return None
    strategy = strategy_for(request.text, found)
    candidates = _candidates(found, strategy)
    ranked = _ranked(candidates, strategy)
    wanted = request.max_words or DEFAULT_WORDS
    chosen = _chosen(ranked, wanted, _budget(wanted, found))
    return _summary(request.text, chosen) if chosen else None


def strategy_for(text: str, found: list[Sentence]) -> Strategy:
    """The rule that suits the text."""
    if has_speakers(text):
        return Strategy.TALK
    if _has_heading(found) or _DATELINE.match(found[0].text) or _is_legal(text):
        return Strategy.LEAD
    return Strategy.CENTRAL


def _has_heading(found: list[Sentence]) -> bool:
    """A short first piece without a final stop, over text long enough to need a heading."""
    first = found[0]
    is_title = not first.prose or (len(first.text) <= 100 and first.text[-1].isalnum())
    return is_title and len(found) >= 8


def _is_legal(text: str) -> bool:
    sample = text[:20_000].casefold().split()
    return sum(word.strip(".,;:()\"'") in _LEGAL for word in sample) > _LEGAL_SHARE * len(sample)


def _candidates(found: list[Sentence], strategy: Strategy) -> list[Sentence]:
    """What may be chosen: prose of some length; less strict where nothing is left. At most MAX_RANKED of them."""
    floor = _TALK_FLOOR_WORDS if strategy is Strategy.TALK else _SHORT_SENTENCE_WORDS
    prose = [sentence for sentence in found if sentence.prose]
    long_enough = [sentence for sentence in prose if word_count(sentence.text) >= floor]
    kept = long_enough or prose or found
    if strategy is Strategy.LEAD:
        return kept[:MAX_RANKED]
    return kept if len(kept) <= MAX_RANKED else [kept[i * len(kept) // MAX_RANKED] for i in range(MAX_RANKED)]


def _ranked(candidates: list[Sentence], strategy: Strategy) -> list[Sentence]:
    """Best first."""
    if strategy is Strategy.LEAD:
        return candidates
    scores = _centrality([words(sentence.text) for sentence in candidates])
    if strategy is Strategy.TALK:
        scores = [
            score * min(1.0, word_count(sentence.text) / _TALK_FULL_WORDS)
            for score, sentence in zip(scores, candidates, strict=True)
        ]
    order = sorted(range(len(candidates)), key=lambda i: (-scores[i], i))
    return [candidates[i] for i in order]


def _centrality(bags: list[list[str]]) -> list[float]:
    """LexRank with continuous weights: the stationary share of a walk from sentence to similar sentence."""
    size = len(bags)
    links = _links(_vectors(bags))
    totals = [sum(row.values()) for row in links]
    scores = [1.0 / size] * size
    for _ in range(_ROUNDS):
        spread = [0.0] * size
        for i, row in enumerate(links):
            if totals[i] > 0:
                share = scores[i] / totals[i]
                for j, weight in row.items():
                    spread[j] += share * weight
        scores = [(1 - _DAMPING) / size + _DAMPING * value for value in spread]
    return scores


def _vectors(bags: list[list[str]]) -> list[dict[str, float]]:
    """Unit vectors of term frequency times inverse sentence frequency; words of every sentence weigh nothing."""
    spread = Counter(word for bag in bags for word in set(bag))
    common = max(len(bags) * _COMMON_SHARE, 10)
    vectors = []
    for bag in bags:
        kept = ((word, count) for word, count in Counter(bag).items() if spread[word] <= common)
        raw = {word: count * log(len(bags) / spread[word]) for word, count in kept}
        length = sqrt(sum(value * value for value in raw.values()))
        vectors.append({word: value / length for word, value in raw.items() if value > 0} if length > 0 else {})
    return vectors


def _links(vectors: list[dict[str, float]]) -> list[dict[int, float]]:
    """Cosines between different sentences that share a word."""
    holders: dict[str, list[tuple[int, float]]] = {}
    for i, vector in enumerate(vectors):
        for word, value in vector.items():
            holders.setdefault(word, []).append((i, value))
    links: list[dict[int, float]] = [{} for _ in vectors]
    for i, vector in enumerate(vectors):
        row = links[i]
        for word, value in vector.items():
            for j, other in holders[word]:
                if j != i:
                    row[j] = row.get(j, 0.0) + value * other
    return links


def _budget(wanted: int, found: list[Sentence]) -> int:
    total = sum(word_count(sentence.text) for sentence in found)
    return min(wanted, max(total // SHARE_OF_TEXT, min(SHORTEST_WORDS, total // 2)))


def _chosen(ranked: list[Sentence], wanted: int, budget: int) -> list[Sentence]:
    """The best sentences that fit the budget together, best first; the first one needs to fit what is wanted only.

    Where not one fits: the beginning of the best one.
    """
    chosen: list[Sentence] = []
    bags: list[Counter[str]] = []
    left, chars_left = budget, MAX_SUMMARY_CHARS
    for sentence in ranked:
        size = word_count(sentence.text)
        if size > (left if chosen else wanted) or len(sentence.text) >= chars_left:
            continue
        bag = Counter(words(sentence.text))
        if any(_cosine(bag, other) > _ALIKE for other in bags):
            continue
        chosen.append(sentence)
        bags.append(bag)
        left, chars_left = left - size, chars_left - len(sentence.text) - 1
        if left <= 0:
            break
    return chosen or _beginning(ranked[0], wanted)


def _cosine(one: Counter[str], other: Counter[str]) -> float:
    shared = sum(count * other[word] for word, count in one.items())
    if not shared:
        return 0.0
    return shared / sqrt(sum(c * c for c in one.values()) * sum(c * c for c in other.values()))


def _beginning(sentence: Sentence, budget: int) -> list[Sentence]:
    piece = cut(sentence.text, budget, MAX_POINT_CHARS)
    if not is_quotable(sentence.text, 0, len(piece)):
        return []
    return [Sentence(sentence.start, sentence.start + len(piece), piece, sentence.prose)]


def _summary(text: str, chosen: list[Sentence]) -> Summary:
    in_order = sorted(chosen, key=lambda sentence: sentence.start)
    points = sorted(chosen[:MAX_POINTS], key=lambda sentence: sentence.start)
    return Summary(
        summary=_joined([_one_line(sentence.text) for sentence in in_order]),
        key_points=[KeyPoint(point=_one_line(s.text), quote=text[s.start : s.end]) for s in points],
    )


def _joined(lines: list[str]) -> str:
    """With spaces between them, but not behind a full stop of a script that has none."""
    return "".join(line if line.endswith(("。", "！", "？")) else f"{line} " for line in lines).rstrip()


def _one_line(text: str) -> str:
    return " ".join(text.split())
