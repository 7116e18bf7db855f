"""Reads partial text, and says which jobs are watched: the web's side."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from uuid import UUID

from redis import Redis

from partials.connection import connect, script
from partials.entry import BELL, WATCHED_KEY, WATCHED_SECONDS, Entry, Place, stream_of
from partials.sealing import Seal, Unreadable

FROM_THE_START = b"0-0"
"""The position before a stream's first entry."""
_KEPT_SEALS = 4096

_log = logging.getLogger(__name__)


class Bell:
    """Tells whose streams have grown."""

    def __init__(self, listen: Callable[[float], "dict[str, Any] | None"]) -> None:
        self._listen = listen

    def wait(self, seconds: float) -> set[UUID]:
        """Jobs that it rang for, as soon as it has rung for any; none after so many seconds."""
        rung: set[UUID] = set()
        message = self._listen(seconds)
        while message is not None:
            if message["type"] == "message":
                rung.update(_ids(message["data"]))
            message = self._listen(0)
        return rung


class PartialReader:
    """Partial texts as a web process sees them. Every method may raise ``redis.exceptions.RedisError``.

    Args:
        url, stream_key: as the workers' (``partials.writer``).
    """

    def __init__(self, url: str, stream_key: str) -> None:
        self._redis: Redis = connect(url)
        self._seal: Callable[[UUID], Seal] = lru_cache(_KEPT_SEALS)(lambda job_id: Seal(stream_key, job_id))
        self._has_complained = False

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def mark(self, job_ids: Iterable[UUID], *, ring: bool = False) -> None:
        """Say that these jobs are watched; it holds for :data:`WATCHED_SECONDS`.

        Args:
            ring: have readers look at their streams now.
        """
        ids = [str(job_id) for job_id in job_ids]
        if not ids:
            return
        pipe = self._redis.pipeline(transaction=False)
        pipe.eval(script("mark"), 1, WATCHED_KEY, round(WATCHED_SECONDS * 1000), *ids)
        if ring:
            pipe.publish(BELL, " ".join(ids))
        pipe.execute()

    def read(self, positions: Mapping[UUID, bytes]) -> list[Entry]:
        """What has come since these positions, oldest first. Entries that do not open are passed over."""
        if not positions:
            return []
        job_of = {stream_of(job_id).encode(): job_id for job_id in positions}
        streams: Any = {stream_of(job_id): position for job_id, position in positions.items()}
        found: Any = self._redis.xread(streams) or []
        entries = [
            self._opened(job_of[stream], position, fields)
            for stream, written in (found.items() if isinstance(found, dict) else found)
            for position, fields in written
        ]
        return [entry for entry in entries if entry is not None]

    @contextmanager
    def listening(self) -> Iterator[Bell]:
        """A connection that hears the bell."""
        with self._redis.pubsub(ignore_subscribe_messages=True) as channel:  # type: ignore[no-untyped-call]
            channel.subscribe(BELL)
            yield Bell(lambda seconds: channel.get_message(timeout=seconds))

    def _opened(self, job_id: UUID, position: bytes, fields: Mapping[bytes, bytes]) -> Entry | None:
        try:
            place = Place.parse(fields[b"place"])
            return Entry(job_id, position, place, self._seal(job_id).open(fields[b"text"], bytes(place)))
        except (Unreadable, KeyError, ValueError) as error:
            if not self._has_complained:
                _log.warning("partial text cannot be read: %s", error)
            self._has_complained = True
            return None


def _ids(payload: bytes) -> Iterator[UUID]:
    for word in payload.decode(errors="replace").split():
        try:
            yield UUID(word)
        except ValueError:
            _log.warning("the bell rang for something that is no job")
