"""How alike a text is to labels known by a few texts only: TF-IDF over words, word pairs and parts of words.

Inverse frequencies come from the labels themselves, so nothing is learnt beyond the request. A score is the best cosine
with one of a label's texts plus the mean over all of them: 0 (nothing shared) to 2 (the same text throughout). It
orders labels; it is no probability.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import log, sqrt

from fallbacks.words import words

EXAMPLE_CHARS = 1_000
"""Of a longer example only the beginning is read."""

_PART_LENGTHS = (3, 4)


class Profiles:
    """The labels' texts, indexed by feature. Immutable once made."""

    def __init__(self, texts_of_label: Sequence[Sequence[str]]) -> None:
        """``texts_of_label``: for each label, what is known of it; a label without texts is never alike."""
        bags = [[_features(text[:EXAMPLE_CHARS]) for text in texts] for texts in texts_of_label]
        spread = Counter(feature for texts in bags for feature in {f for bag in texts for f in bag})
        self._unseen = log((len(bags) + 1) / 0.5)
        self._weights = {feature: log((len(bags) + 1) / (count + 0.5)) for feature, count in spread.items()}
        self._sizes = [len(texts) for texts in bags]
        self._holders: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
        for label, texts in enumerate(bags):
            for number, bag in enumerate(texts):
                for feature, value in self._vector(bag).items():
                    self._holders[feature].append((label, number, value))

    def scores(self, text: str) -> dict[int, float]:
        """The score of each label (by its index) that shares anything with the text."""
        cosines: dict[tuple[int, int], float] = defaultdict(float)
        for feature, value in self._vector(_features(text)).items():
            for label, number, other in self._holders.get(feature, ()):
                cosines[label, number] += value * other
        best: dict[int, float] = defaultdict(float)
        total: dict[int, float] = defaultdict(float)
        for (label, _), cosine in cosines.items():
            best[label] = max(best[label], cosine)
            total[label] += cosine
        return {label: best[label] + total[label] / self._sizes[label] for label in sorted(best)}

    def _vector(self, bag: Counter[str]) -> dict[str, float]:
        raw = {f: (1 + log(count)) * self._weights.get(f, self._unseen) for f, count in bag.items()}
        length = sqrt(sum(value * value for value in raw.values()))
        return {f: value / length for f, value in raw.items()} if length > 0 else {}


@lru_cache(maxsize=4)
def profiles(texts_of_label: tuple[tuple[str, ...], ...]) -> Profiles:
    """The profiles of these texts; the jobs of a batch share one."""
    return Profiles(texts_of_label)


def _features(text: str) -> Counter[str]:
    found = words(text)
    features = Counter("w" + word for word in found)
    features.update(f"p{one} {two}" for one, two in pairwise(found))
    for word in found:
        framed = f"^{word}$"
        for size in _PART_LENGTHS:
            features.update("c" + framed[i : i + size] for i in range(len(framed) - size + 1))
    return features
