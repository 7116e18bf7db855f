"""The rule-based stand-in for labels: what the producer said of them, looked for in the text. It never guesses.

The first of these that finds anything decides:

1. ``keywords``: the producer's words and phrases, as whole words, ignoring case. A label scores the words of its
   distinct phrases found ("card declined" counts two); how often they stand there does not matter.
2. ``likeness``: descriptions and examples (:mod:`fallbacks.likeness`), accepted from :data:`LIKENESS_FLOOR` up and with
   :data:`LIKENESS_MARGIN` between the best label and the next.
3. ``names``: all words of a label's name stand in the text, endings aside (``shipping`` fits ``shipped``). Names that
   only mean "the rest" (other, none, sonstige ...) are left out: their words say nothing about a text.

Where two labels tie in 1 or 3, the more alike one is taken if the margin allows; otherwise there is no answer.
``multi`` gives every label that keywords or names find, or each about as alike as the best.

Confidence is always null: none of these scores was calibrated, and a share of keywords is not a probability.
"""

import re
from collections import defaultdict

from fallbacks.keywords import find
from fallbacks.likeness import Profiles, profiles
from fallbacks.sentences import Sentence, sentences
from fallbacks.words import is_quotable, words
from schemas.classify import Classification, ClassifyRequest, Label

LIKENESS_FLOOR = 0.25
"""Below this the text shares next to nothing with what is known of a label. Measured on clinc150 (150 intents, five
examples each): with the margin below, 9 in 10 questions are answered (82 % of them rightly), and 4 in 10 of those that
belong to no intent."""

LIKENESS_MARGIN = 0.10
"""The best label must beat the next by this share of its score."""

READ_CHARS = 20_000
"""Likeness and names look at the beginning of the text only; keywords at all of it."""

EVIDENCE_CHARS = 2_000

_REST_WORDS = (
    "other others otherwise none misc miscellaneous unknown general various rest else neither "
    "sonstige sonstiges andere anderes autre autres otro otros altro altri overig overige inne inny"
)
_THE_REST = frozenset(_REST_WORDS.split())
_NAME_PARTS = re.compile(r"[_\-/:.]+|(?<=[a-z])(?=[A-Z])")
_SHORTEST_STEM = 4
_LONGEST_ENDING = 4

Scores = dict[int, float]
"""Score by the label's index; only labels with evidence."""


def classify(request: ClassifyRequest) -> Classification | None:
    """The label (or labels) with its evidence, or None where nothing, or nothing clear, points to one."""
    known = _profiles(request.labels)
    found, places = _by_keywords(request)
    if found:
        chosen = _all(found) if request.multi else _clear_best(found, known, request.text)
        return _answer(request, chosen, places)
    alike = known.scores(request.text[:READ_CHARS]) if known else {}
    chosen = _alike(alike, request.multi)
    if known and chosen:
        piece = _most_alike_sentence(request.text, known, chosen[0])
        if piece is not None:
            return _answer(request, chosen, {chosen[0]: (piece.start, piece.end)})
    found, places = _by_names(request)
    chosen = _all(found) if request.multi else _clear_best(found, known, request.text)
    return _answer(request, chosen, places)


def _profiles(labels: list[Label]) -> Profiles | None:
    """What is known of the labels; None where no label has a description or example."""
    if not any(label.description or label.examples for label in labels):
        return None
    return profiles(tuple((_spoken(x.name), *([x.description] if x.description else []), *x.examples) for x in labels))


def _by_keywords(request: ClassifyRequest) -> tuple[Scores, dict[int, tuple[int, int]]]:
    """Words of the distinct phrases found per label, and where its longest phrase stands first."""
    phrases = [(i, phrase) for i, label in enumerate(request.labels) for phrase in label.keywords]
    if not phrases:
        return {}, {}
    scores: Scores = defaultdict(float)
    places: dict[int, tuple[int, int]] = {}
    for hit in find(request.text, [phrase for _, phrase in phrases]):
        label, phrase = phrases[hit.phrase]
        place = (hit.start, hit.end)
        scores[label] += len(phrase.split())
        if label not in places or place[1] - place[0] > places[label][1] - places[label][0]:
            places[label] = place
    return dict(scores), places


def _by_names(request: ClassifyRequest) -> tuple[Scores, dict[int, tuple[int, int]]]:
    """Words of each label's name, where all of them stand in the text, endings aside."""
    holders: dict[str, dict[str, Sentence]] = {}
    for piece in sentences(request.text[:READ_CHARS]):
        for word in words(piece.text):
            holders.setdefault(word[:_SHORTEST_STEM], {}).setdefault(word, piece)
    scores: Scores = {}
    places: dict[int, tuple[int, int]] = {}
    for index, label in enumerate(request.labels):
        name = words(_spoken(label.name))
        if not name or _THE_REST.intersection(name):
            continue
        found = [_holder(part, holders.get(part[:_SHORTEST_STEM], {})) for part in name]
        if found[0] is not None and None not in found:
            scores[index] = len(name)
            places[index] = (found[0].start, found[0].end)
    return scores, places


def _holder(part: str, holders: dict[str, Sentence]) -> Sentence | None:
    """The first sentence with this word, whatever its ending."""
    return next((piece for word, piece in holders.items() if _same_stem(part, word)), None)


def _spoken(name: str) -> str:
    """``card_arrival`` and ``cardArrival`` as one says them."""
    return _NAME_PARTS.sub(" ", name)


def _same_stem(one: str, two: str) -> bool:
    if one == two:
        return True
    stem = max(_SHORTEST_STEM, max(len(one), len(two)) - _LONGEST_ENDING)
    return len(one) >= stem and len(two) >= stem and one[:stem] == two[:stem]


def _all(scores: Scores) -> list[int]:
    return sorted(scores, key=lambda index: (-scores[index], index))


def _clear_best(scores: Scores, known: Profiles | None, text: str) -> list[int]:
    """The label with the highest score; among equals the clearly more alike one; otherwise none."""
    best = [index for index, score in scores.items() if score == max(scores.values())]
    if len(best) < 2 or known is None:
        return best if len(best) == 1 else []
    alike = {i: score for i, score in known.scores(text[:READ_CHARS]).items() if i in best}
    return _with_margin(alike)


def _alike(scores: Scores, multi: bool) -> list[int]:
    """The labels that likeness alone may give, best first."""
    if max(scores.values(), default=0) < LIKENESS_FLOOR:
        return []
    if not multi:
        return _with_margin(scores)
    bar = max(LIKENESS_FLOOR, max(scores.values()) * (1 - LIKENESS_MARGIN))
    return _all({index: score for index, score in scores.items() if score >= bar})


def _with_margin(scores: Scores) -> list[int]:
    order = _all(scores)
    if not order or (len(order) > 1 and scores[order[1]] > scores[order[0]] * (1 - LIKENESS_MARGIN)):
        return []
    return order[:1]


def _most_alike_sentence(text: str, known: Profiles, label: int) -> Sentence | None:
    pieces = sentences(text[:READ_CHARS])
    return max(pieces, key=lambda piece: known.scores(piece.text).get(label, 0.0), default=None)


def _answer(request: ClassifyRequest, chosen: list[int], places: dict[int, tuple[int, int]]) -> Classification | None:
    if not chosen:
        return None
    start, end = _around(request.text, *places[chosen[0]])
    if end - start > EVIDENCE_CHARS or not is_quotable(request.text, start, end):
        return None
    return Classification(
        labels=[request.labels[index].name for index in chosen],
        evidence=request.text[start:end],
    )


def _around(text: str, start: int, end: int) -> tuple[int, int]:
    """The sentence around a place, or the place itself where sentence ends cut through it.

    Sentences are looked for near the place only, so that a long text costs nothing.
    """
    reach = EVIDENCE_CHARS
    left = max(0, start - reach)
    for piece in sentences(text[left : end + reach]):
        if left + piece.start <= start and end <= left + piece.end:
            return left + piece.start, left + piece.end
    return start, end
