"""JSONL: one pass over an input of many lines, each held to the contract and known again by its digest."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jobs.contract import SubmitRefused, checked, cost_of, digest_of, shown
from schemas.ids import new_id
from schemas.job import JobOptions
from storage.arrivals import Arrival
from storage.jobs import dump
from tasks.spec import AnyTask

CHUNK_LINES = 1000
"""Lines written at a time: large enough to amortise a transaction."""
CHUNK_CHARS = 4 * 1024 * 1024
"""Or fewer, when so much has been gathered: what an upload of long documents holds in memory."""
MAX_LINE_BYTES = 16 * 1024 * 1024
"""Longest accepted line: a document of 1,000,000 characters, all of them escaped, fits."""
MAX_BATCH_LINES = 100_000
SHOWN_ERRORS = 20


class Reading:
    """One pass over a JSONL input: checks lines, numbers them, counts them, collects what is wrong.

    Attributes:
        head: digest of what all lines have in common: task, fields, options.
        total: lines that hold something.
    """

    def __init__(self, task: AnyTask, defaults: Mapping[str, Any], options: JobOptions) -> None:
        self._task = task
        self._defaults = dict(defaults)
        self._options = options
        self._errors: list[str] = []
        self.head = digest_of([task.name, self._defaults, shown(options)])
        self._digest = hashlib.sha256(self.head.encode())
        self.total = 0

    def chunks(self, lines: Iterable[bytes]) -> Iterator[list[Arrival]]:
        """The lines in chunks; after the first wrong one only checking goes on."""
        chunk: list[Arrival] = []
        held = 0
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                arrival = self._arrival(number, line)
            except SubmitRefused as refusal:
                self._errors.append(f"line {number}: {refusal}")
                chunk = []
                if len(self._errors) == SHOWN_ERRORS:
                    return
            else:
                if self._errors:
                    continue
                chunk.append(arrival)
                held += len(arrival.request)
                if len(chunk) == CHUNK_LINES or held >= CHUNK_CHARS:
                    yield chunk
                    chunk, held = [], 0
        if chunk:
            yield chunk

    def finish(self) -> str:
        """The whole input's digest.

        Raises:
            SubmitRefused: a line was wrong, or there was none.
        """
        if self._errors:
            more = " (and perhaps more)" if len(self._errors) == SHOWN_ERRORS else ""
            raise SubmitRefused([*self._errors, f"nothing was submitted: correct these lines{more} and submit again"])
        if self.total == 0:
            raise SubmitRefused(["the input holds no lines; give one JSON object per line"])
        return self._digest.hexdigest()

    def _arrival(self, number: int, line: bytes) -> Arrival:
        self.total += 1
        if self.total > MAX_BATCH_LINES:
            raise SubmitRefused([f"a batch holds at most {MAX_BATCH_LINES:,} lines; split the input"])
        data = _parsed(line)
        reference = _reference(data.pop("id", None))
        request = checked(self._task, {**self._defaults, **data})
        stored = dump(request)
        digest = hashlib.sha256(f"{stored}\n{reference!r}".encode()).digest()
        self._digest.update(number.to_bytes(4, "big") + digest)
        return Arrival(number, new_id(), stored, reference, cost_of(self._task, request, self._options), digest)


def _parsed(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise SubmitRefused([f"is longer than {MAX_LINE_BYTES // 1024**2} MiB; split the document"])
    try:
        data = json.loads(line.decode("utf-8").rstrip("\r\n"), parse_constant=no_number)
    except UnicodeDecodeError as error:
        raise SubmitRefused([f"is not UTF-8 (byte {error.start + 1}); convert the file to UTF-8"]) from None
    except (ValueError, RecursionError) as error:
        where = f" (column {error.colno}: {error.msg})" if isinstance(error, json.JSONDecodeError) else ""
        raise SubmitRefused([f"is not JSON{where}; write one JSON object per line"]) from None
    if not isinstance(data, dict):
        raise SubmitRefused(['is not a JSON object; write {"text": "..."}'])
    return data


def no_number(constant: str) -> None:
    """For ``json.loads``: Python takes NaN and Infinity for JSON, PostgreSQL and the rest of the world do not."""
    raise ValueError(f"{constant} is not JSON")


def _reference(given: object) -> str | None:
    """A line's own ``id``, as it comes back with the result."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise SubmitRefused(["id: give a string or a whole number"])
    # Column reference is text: it holds neither NUL nor half a surrogate pair.
    return str(given)[:200].replace("\x00", "").encode(errors="replace").decode()
