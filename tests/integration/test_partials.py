"""Partial text from a worker's side to the web's through a real Valkey, sealed and bounded; the server may go away."""

import logging
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from redis import Redis
from redis.exceptions import RedisError

from partials.entry import MOST_CHARS, MOST_ENTRIES, WATCHED_KEY, WHOLE_AFTER, stream_of
from partials.reader import FROM_THE_START, PartialReader
from partials.writer import PartialWriter, RunText
from schemas.ids import new_id
from tests.house import House, eventually
from tests.own_valkey import OwnValkey
from web.events.follower import PartialText, grown

KEY = "a key of this test's own"


class Onlooker:
    """Somebody who watches a job: marks it, and puts its text together."""

    def __init__(self, reader: PartialReader, job_id: UUID) -> None:
        self._reader = reader
        self._job_id = job_id
        self._position = FROM_THE_START
        self.text: PartialText | None = None
        self.entries = 0

    def watch(self) -> None:
        """Mark the job, as a web process does again and again."""
        self._reader.mark([self._job_id])

    def look(self) -> str:
        """The text as it is now."""
        for entry in self._reader.read({self._job_id: self._position}):
            self.text = grown(self.text, entry.place, entry.text)
            self._position = entry.position
            self.entries += 1
        return self.text.text if self.text is not None else ""

    def sees(self, text: str) -> bool:
        """Whether it is this text by now; never one that was not written."""
        return self.look() == text


@pytest.fixture
def redis(house: House) -> Iterator[Redis]:
    """The house's server."""
    with Redis.from_url(house.broker_url) as client:
        client.delete(WATCHED_KEY)
        yield client


@pytest.fixture
def write(house: House) -> Iterator[Callable[..., PartialWriter]]:
    """Makes running writers, each as of a worker process."""
    made: list[PartialWriter] = []

    def make(url: str | None = None, **lifetimes: float) -> PartialWriter:
        writer = PartialWriter(url or house.broker_url, KEY, **lifetimes)
        writer.start()
        made.append(writer)
        return writer

    yield make
    for writer in made:
        writer.stop()


@pytest.fixture
def reader(house: House) -> Iterator[PartialReader]:
    """A web process's reader."""
    reader = PartialReader(house.broker_url, KEY)
    yield reader
    reader.close()


def is_taken_note_of(run: RunText) -> bool:
    """The writer knows that the run is watched."""
    return run.is_watched


@pytest.mark.usefixtures("redis")
def test_text_comes_as_it_is_written(write: Callable[..., PartialWriter], reader: PartialReader) -> None:
    """Whoever watches sees the text grow piece by piece up to its end."""
    job_id = new_id()
    onlooker = Onlooker(reader, job_id)
    onlooker.watch()
    with write().of_run(job_id, 1) as run:
        for end in (3, 6, 9):
            run.add(1, "abcdefghi"[end - 3 : end])
            eventually(partial(onlooker.sees, "abcdefghi"[:end]), f"{end} characters")
        run.add(1, "j")
    eventually(lambda: onlooker.sees("abcdefghij"), "what came last, although the run is over")
    assert onlooker.entries == 4


def test_what_nobody_watches_goes_nowhere(
    redis: Redis, write: Callable[..., PartialWriter], reader: PartialReader
) -> None:
    """Text of a job that is not watched stays in its worker, beside one that is."""
    watched, other = new_id(), new_id()
    onlooker = Onlooker(reader, watched)
    onlooker.watch()
    writer = write()
    with writer.of_run(watched, 1) as run, writer.of_run(other, 1) as unwatched:
        unwatched.add(1, "nobody's business")
        run.add(1, "seen")
        eventually(lambda: onlooker.sees("seen"), "the watched one")
    assert redis.exists(stream_of(other)) == 0


@pytest.mark.usefixtures("redis")
def test_who_comes_late_gets_the_whole_text(write: Callable[..., PartialWriter], reader: PartialReader) -> None:
    """Text from before anybody watched comes first, then what is new."""
    job_id = new_id()
    with write().of_run(job_id, 1) as run:
        run.add(1, "before ")
        onlooker = Onlooker(reader, job_id)
        onlooker.watch()
        eventually(lambda: onlooker.sees("before "), "what was there")
        run.add(1, "after")
        eventually(lambda: onlooker.sees("before after"), "what is new")
        second = Onlooker(reader, job_id)
        assert second.look() == "before after"


def test_a_new_attempt_replaces_the_text(
    redis: Redis, write: Callable[..., PartialWriter], reader: PartialReader
) -> None:
    """A repair's or another run's text takes the old one's place, which is gone from the server too."""
    job_id = new_id()
    onlooker = Onlooker(reader, job_id)
    onlooker.watch()
    writer = write()
    with writer.of_run(job_id, 1) as run:
        run.add(1, "wrong")
        eventually(lambda: onlooker.sees("wrong"), "the first attempt")
        run.add(2, "right")
        eventually(lambda: onlooker.sees("right"), "the second attempt")
    with writer.of_run(job_id, 3) as run:
        run.add(3, "right again")
        eventually(lambda: onlooker.sees("right again"), "the next run")
    assert redis.xlen(stream_of(job_id)) == 1


@pytest.mark.usefixtures("redis")
def test_a_late_twin_changes_nothing(write: Callable[..., PartialWriter], reader: PartialReader) -> None:
    """A worker that has lost its lease and goes on writing is not heard any more."""
    job_id = new_id()
    onlooker = Onlooker(reader, job_id)
    onlooker.watch()
    with write().of_run(job_id, 1) as late, write().of_run(job_id, 2) as now:
        late.add(1, "old")
        eventually(lambda: onlooker.sees("old"), "the first worker's text")
        now.add(2, "new")
        eventually(lambda: onlooker.sees("new"), "the second worker's text")
        late.add(1, " and late")
        eventually(lambda: late.is_superseded, "the first worker is told")
        now.add(2, "er")
        eventually(lambda: onlooker.sees("newer"), "the second worker's text alone")
    assert Onlooker(reader, job_id).look() == "newer"


def test_a_stream_stays_small(
    redis: Redis, write: Callable[..., PartialWriter], reader: PartialReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pieces a text comes in, its stream keeps few, and whoever comes late still gets all of it."""
    monkeypatch.setattr("partials.writer.PAUSE_SECONDS", 0.0)
    job_id = new_id()
    onlooker = Onlooker(reader, job_id)
    onlooker.watch()
    longest = 0
    with write().of_run(job_id, 1) as run:
        for number in range(3 * WHOLE_AFTER):
            run.add(1, "x")
            run_so_far = "x" * (number + 1)
            while not onlooker.sees(run_so_far):  # the reader waits on nothing but the server
                pass
            longest = max(longest, int(redis.xlen(stream_of(job_id))))
        assert onlooker.entries >= 3 * WHOLE_AFTER
        assert longest <= WHOLE_AFTER < MOST_ENTRIES
        assert Onlooker(reader, job_id).look() == "x" * (3 * WHOLE_AFTER)


def test_text_without_end_is_cut(redis: Redis, write: Callable[..., PartialWriter], reader: PartialReader) -> None:
    """Of a text that does not end, no more than a bound is kept in the worker or passed on."""
    job_id = new_id()
    onlooker = Onlooker(reader, job_id)
    onlooker.watch()
    with write().of_run(job_id, 1) as run:
        for _ in range(MOST_CHARS // 1000 + 50):
            run.add(1, "y" * 1000)
        eventually(lambda: onlooker.sees("y" * MOST_CHARS), "as much as is passed on")
        assert sum(map(len, run.text.pieces)) == MOST_CHARS
        assert int(redis.memory_usage(stream_of(job_id)) or 0) < 4 * MOST_CHARS


def test_a_stream_ends_by_itself(redis: Redis, write: Callable[..., PartialWriter], reader: PartialReader) -> None:
    """While its job runs it lives from entry to entry, and after the run not much longer; the marks run out too."""
    job_id = new_id()
    onlooker = Onlooker(reader, job_id)
    onlooker.watch()
    with write(lifetime_seconds=60, afterlife_seconds=0.5).of_run(job_id, 1) as run:
        run.add(1, "text")
        eventually(lambda: onlooker.sees("text"), "the text")
        assert 30_000 < redis.pttl(stream_of(job_id)) <= 60_000
    eventually(lambda: not redis.exists(stream_of(job_id)), "the stream is gone")
    assert 0 < redis.pttl(WATCHED_KEY) <= 10_000
    orphan = new_id()
    Onlooker(reader, orphan).watch()
    with write(lifetime_seconds=0.5).of_run(orphan, 1) as run:
        run.add(1, "its worker dies")
        eventually(lambda: redis.exists(stream_of(orphan)), "the stream")
        eventually(lambda: not redis.exists(stream_of(orphan)), "the stream is gone, although no run ended")


@pytest.mark.usefixtures("redis")
def test_a_mark_runs_out(
    write: Callable[..., PartialWriter], reader: PartialReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nobody renews it, the job is not watched any more; when somebody comes back, the whole text comes."""
    job_id = new_id()
    onlooker = Onlooker(reader, job_id)
    monkeypatch.setattr("partials.reader.WATCHED_SECONDS", 0.3)
    onlooker.watch()
    with write().of_run(job_id, 1) as run:
        run.add(1, "one ")
        eventually(lambda: is_taken_note_of(run), "the mark is seen")
        eventually(lambda: not is_taken_note_of(run), "the mark has run out")
        run.add(1, "two ")
        monkeypatch.setattr("partials.reader.WATCHED_SECONDS", 60.0)
        onlooker.watch()
        run.add(1, "three")
        eventually(lambda: onlooker.sees("one two three"), "the whole text")


def test_nothing_can_be_read_without_the_key(
    house: House, redis: Redis, write: Callable[..., PartialWriter], reader: PartialReader,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """No key and no value on the server holds a word of the text, and a reader with another key gets nothing, and says so
    once."""
    job_id = new_id()
    onlooker = Onlooker(reader, job_id)
    onlooker.watch()
    with write().of_run(job_id, 1) as run:
        for _ in range(3):
            run.add(1, "XyzzyPlugh ")
            eventually(lambda: is_taken_note_of(run) and not run.has_news, "it is written")
        eventually(lambda: onlooker.sees("XyzzyPlugh " * 3), "the text, with the key")
        content = b"\n".join(key + (redis.dump(key) or b"") + _plain(redis, key) for key in redis.scan_iter(count=1000))
        assert stream_of(job_id).encode() in content
        assert b"XyzzyPlugh" not in content
        stranger = PartialReader(house.broker_url, "another key")
        with caplog.at_level(logging.WARNING):
            assert stranger.read({job_id: FROM_THE_START}) == []
            assert stranger.read({job_id: FROM_THE_START}) == []
        stranger.close()
    assert [record.name for record in caplog.records] == ["partials.reader"]


def _plain(redis: Redis, key: bytes) -> bytes:
    if redis.type(key) != b"stream":
        return b""
    return repr(redis.xrange(key)).encode()


def test_the_bell_tells_whose_stream_has_grown(
    redis: Redis, write: Callable[..., PartialWriter], reader: PartialReader
) -> None:
    """Whoever listens hears of a job's text, and nonsense on the channel is passed over."""
    job_id = new_id()
    with reader.listening() as bell:
        redis.publish("assay:partial", b"\xff nonsense")
        reader.mark([job_id])
        with write().of_run(job_id, 1) as run:
            run.add(1, "ding")
            eventually(lambda: job_id in bell.wait(0.5), "the bell has rung")


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[OwnValkey]:
    """A server of this test's own."""
    server = OwnValkey(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_the_server_goes_and_comes_back(valkey: OwnValkey, write: Callable[..., PartialWriter], how: str) -> None:
    """While the server is away a slot goes on at its own pace; once it is back, the whole text comes."""
    assert valkey.url is not None
    job_id = new_id()
    reader = PartialReader(valkey.url, KEY)
    onlooker = Onlooker(reader, job_id)
    onlooker.watch()
    with write(valkey.url).of_run(job_id, 1) as run:
        run.add(1, "before ")
        eventually(lambda: onlooker.sees("before "), "the text before")
        if how == "killed":
            valkey.stop()
        else:
            valkey.send(signal.SIGSTOP)
        run.add(1, "while away ")
        eventually(lambda: not is_taken_note_of(run), "the writer has noticed")
        run.add(1, "still away ")
        if how == "killed":
            valkey.start()
        else:
            valkey.send(signal.SIGCONT)
        back = Onlooker(reader, job_id)

        def is_whole() -> bool:
            try:
                back.watch()
                return back.sees("before while away still away ")
            except RedisError:
                return False

        eventually(is_whole, "the whole text")
    reader.close()


def test_a_server_that_forgets_gets_the_whole_text_again(
    redis: Redis, write: Callable[..., PartialWriter], reader: PartialReader
) -> None:
    """A stream that is gone in the middle (evicted, flushed) is written anew from the beginning."""
    job_id = new_id()
    onlooker = Onlooker(reader, job_id)
    onlooker.watch()
    with write().of_run(job_id, 1) as run:
        run.add(1, "one ")
        eventually(lambda: onlooker.sees("one "), "the first piece")
        redis.delete(stream_of(job_id))
        run.add(1, "two")
        eventually(lambda: Onlooker(reader, job_id).look() == "one two", "the whole text for whoever comes now")
