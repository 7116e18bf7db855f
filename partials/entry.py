"""An entry of a job's stream: a piece of the text that one attempt has brought so far, and where it stands in it."""

from typing import NamedTuple
from uuid import UUID

MOST_CHARS = 64_000
"""Of an attempt's text so much is passed on, and no more; at three characters a token that is ten times what the prompts of
today allow (2,048 tokens)."""
WHOLE_AFTER = 128
"""After so many pieces the whole text so far takes their place, so that a stream never grows beyond :data:`MOST_ENTRIES`."""
MOST_ENTRIES = 2 * WHOLE_AFTER
"""The server drops older entries. In bytes a stream holds at most its text twice: 0.5 MB if all 64,000 characters take four
bytes, mostly a few KB."""
LIFETIME_SECONDS = 120.0
"""A stream ends so long after its last entry: its worker died."""
AFTERLIFE_SECONDS = 10.0
"""A stream ends so long after its run: the answer stands in PostgreSQL then."""
WATCHED_SECONDS = 10.0
"""A mark on a watched job holds so long; a web process renews it while a client is there."""
WATCHED_KEY = "assay:watched"
BELL = "assay:partial"
"""Pub/sub channel: ids of jobs whose streams have grown, and nothing else. Rings may be missed."""


class Place(NamedTuple):
    """Where a piece belongs.

    Attributes:
        run: the fence of the run.
        attempt: the number of the call; a later one's text replaces an earlier one's.
        start: characters before it; 0: the whole text so far.
    """

    run: int
    attempt: int
    start: int

    def __bytes__(self) -> bytes:
        return b"%d:%d:%d" % self

    @classmethod
    def parse(cls, written: bytes) -> "Place":
        """The opposite of ``bytes``.

        Raises:
            ValueError: it is none.
        """
        run, attempt, start = written.split(b":")
        return cls(int(run), int(attempt), int(start))


class Entry(NamedTuple):
    """What a reader gets.

    Attributes:
        position: of the entry in its stream.
    """

    job_id: UUID
    position: bytes
    place: Place
    text: str


def stream_of(job_id: UUID) -> str:
    """The key of a job's stream."""
    return f"assay:partial:{job_id}"
