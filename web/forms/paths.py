"""Dotted paths into an answer: ``key_points.0.quote``."""

from typing import Any


def at(value: Any, path: str) -> Any:
    """What stands at a path; None where nothing does."""
    for key in path.split(".") if path else []:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def put(value: Any, path: str, new: Any) -> Any:
    """A copy with something else at a path; objects and list items on the way are made, list items behind the last at its end."""
    if not path:
        return new
    key, _, rest = path.partition(".")
    if isinstance(value, list) and key.isdecimal():
        index = min(int(key), len(value))
        old = value[index] if index < len(value) else None
        return [*value[:index], put(old, rest, new), *value[index + 1 :]]
    inside = value if isinstance(value, dict) else {}
    return {**inside, key: put(inside.get(key), rest, new)}


def without(value: Any, path: str) -> Any:
    """A copy without the list item at a path; the same where there is none."""
    around, _, last = path.rpartition(".")
    rows = at(value, around)
    if not isinstance(rows, list) or not last.isdecimal() or int(last) >= len(rows):
        return value
    return put(value, around, [*rows[: int(last)], *rows[int(last) + 1 :]])
