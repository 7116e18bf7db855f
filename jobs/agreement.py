"""Do two answers say the same? Pure."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_GROUNDS: Final = frozenset({"quote", "evidence", "confidence", "not_found"})
"""Fields that carry an answer and are none themselves: two people may point at different words for the same finding. What was
not found is read off the nulls."""
_PRODUCERS_OWN: Final = "fields"
"""Below it the names are the producer's: a field called ``quote`` is a finding there."""
_LEAF: Final = frozenset({"value", "quote"})


@dataclass(frozen=True)
class Agreement:
    """How two answers compare.

    Attributes:
        agrees: no field differs.
        differing: dotted paths of the fields that do, as the answers spell them.
        fields, equal: how many fields either of them has, and how many are the same in both.
    """

    agrees: bool
    differing: list[str]
    fields: int
    equal: int


def differences(one: Any, other: Any) -> list[str]:
    """The dotted paths of the leaves that differ or stand on one side only, in the order of the answers. Empty: equal.

    Items of lists are compared by their place. A missing object or list is named once, by its own path.
    """
    return list(_differences(one, other, ""))


def normalised(output: Any) -> Any:
    """What of an output counts for agreement: without quotes, evidence and confidence; text in Unicode's composed form, with
    single spaces and without regard to case; a list of plain values sorted and, as a tuple, one field."""
    return _normalised(output, producers=False)


def compare(one: dict[str, Any] | None, other: dict[str, Any] | None) -> Agreement:
    """Compare two outputs, normalised; None is "no answer can be given", which agrees with nothing but itself."""
    left, right = normalised(one), normalised(other)
    differing = differences(left, right)
    paths = _paths(left, "") | _paths(right, "")
    wrong = sum(any(_within(path, differs) for differs in differing) for path in paths)
    return Agreement(not differing, differing, len(paths), len(paths) - wrong)


def _differences(one: Any, other: Any, path: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in [*one, *(name for name in other if name not in one)]:
            below = f"{path}.{name}" if path else str(name)
            if name in one and name in other:
                yield from _differences(one[name], other[name], below)
            else:
                yield below
    elif isinstance(one, list) and isinstance(other, list):
        for at in range(max(len(one), len(other))):
            below = f"{path}.{at}" if path else str(at)
            if at < min(len(one), len(other)):
                yield from _differences(one[at], other[at], below)
            else:
                yield below
    elif isinstance(one, bool) != isinstance(other, bool) or one != other:
        yield path


def _normalised(value: Any, *, producers: bool) -> Any:
    if isinstance(value, dict):
        if _is_found(value):
            return _normalised(value["value"], producers=producers)
        return {
            name: _normalised(part, producers=producers or name == _PRODUCERS_OWN)
            for name, part in value.items()
            if producers or name not in _GROUNDS
        }
    if isinstance(value, list):
        parts = [_normalised(part, producers=producers) for part in value]
        plain = all(not isinstance(part, dict | list | tuple) for part in parts)
        return tuple(sorted(parts, key=lambda part: (type(part).__name__, str(part)))) if plain else parts
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFC", value).casefold().split())
    return value


def _is_found(value: dict[str, Any]) -> bool:
    """A leaf of an extraction, ``{"value": ..., "quote": "..."}``."""
    return value.keys() == _LEAF and isinstance(value["quote"], str | None) and not isinstance(value["value"], dict)


def _paths(value: Any, path: str) -> set[str]:
    """The paths of all leaves; an empty object or list is a leaf."""
    if isinstance(value, dict) and value:
        return set().union(*(_paths(part, f"{path}.{name}" if path else str(name)) for name, part in value.items()))
    if isinstance(value, list) and value:
        return set().union(*(_paths(part, f"{path}.{at}" if path else str(at)) for at, part in enumerate(value)))
    return {path}


def _within(path: str, place: str) -> bool:
    return not place or path == place or path.startswith(f"{place}.")
