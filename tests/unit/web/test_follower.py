"""What a client is told, given what it was told and where the job stands."""

import json

import pytest

from jobs.watching import Standing
from partials.entry import Place
from schemas.answer import AnsweredBy
from schemas.ids import new_id
from schemas.job import JobState
from web.events.follower import Follower, PartialText, grown

RUNNING = Standing(JobState.RUNNING, 1, frozenset({1}))
ANSWERED = Standing(JobState.ANSWERED, 1, frozenset({1}), answered_by=AnsweredBy.MODEL)


def shown(events: list[bytes]) -> list[tuple[str, object]]:
    """Name and what matters of each event."""
    found: list[tuple[str, object]] = []
    for event in events:
        fields = dict(line.split(": ", 1) for line in event.decode().strip().split("\n"))
        data = json.loads(fields["data"])
        if fields["event"] == "state":
            found.append(("state", fields["id"]))
        else:
            assert "id" not in fields
            found.append(("text", (data["attempt"], data["from"], data["text"])))
    return found


def test_a_slow_client_gets_what_still_matters() -> None:
    """A client that looks once, at the end, is told every state, and no text that the answer has replaced."""
    follower = Follower(new_id())
    states = ["0-queued", "0-published", "1-running", "1-answered"]
    assert shown(follower.news(ANSWERED, PartialText(1, 1, "some text"))) == [("state", state) for state in states]


def test_text_grows_by_what_is_new() -> None:
    """Each look brings the characters behind those that came before, and another attempt begins anew."""
    follower = Follower(new_id(), "1-running")
    assert shown(follower.news(RUNNING, PartialText(1, 1, "ab"))) == [("text", (1, 0, "ab"))]
    assert shown(follower.news(RUNNING, PartialText(1, 1, "ab"))) == []
    assert shown(follower.news(RUNNING, PartialText(1, 1, "abcd"))) == [("text", (1, 2, "cd"))]
    assert shown(follower.news(RUNNING, PartialText(1, 2, "x"))) == [("text", (2, 0, "x"))]


def test_text_of_another_run_is_not_shown() -> None:
    """Text of a run that is over, or that the client has not been told of, waits or is dropped."""
    follower = Follower(new_id(), "1-running")
    assert follower.news(RUNNING, PartialText(2, 3, "of the next run")) == []
    waiting = Standing(JobState.QUEUED, 1, frozenset({1}))
    assert shown(follower.news(waiting, PartialText(1, 1, "of the last run"))) == [("state", "1-queued")]


@pytest.mark.parametrize(
    ("last_id", "standing", "everything"),
    [
        ("1-answered.done", ANSWERED, True),
        ("1-answered", ANSWERED, False),
        ("1-running.done", ANSWERED, False),
        ("1-failed.done", Standing(JobState.QUEUED, 1, frozenset({1})), False),
        (".done", ANSWERED, False),
        (None, ANSWERED, False),
    ],
)
def test_who_has_everything(last_id: str | None, standing: Standing, *, everything: bool) -> None:
    """Only the last event's id of a job that is still where it ended says that nothing follows."""
    assert Follower(new_id(), last_id).has_everything(standing) is everything


def test_the_last_event_says_where_it_ended() -> None:
    """Its id is one that the next visit understands."""
    job_id = new_id()
    follower = Follower(job_id, "1-running")
    follower.news(ANSWERED, None)
    assert Follower(job_id, follower.done_id()).has_everything(ANSWERED)


def test_pieces_make_a_text() -> None:
    """Pieces in order make it grow; an old attempt's, one had before and one behind a gap change nothing; the whole heals."""
    text = grown(None, Place(1, 1, 0), "abc")
    assert text == PartialText(1, 1, "abc")
    assert grown(text, Place(1, 1, 3), "de") == PartialText(1, 1, "abcde")
    assert grown(text, Place(1, 1, 1), "b") == text
    assert grown(text, Place(1, 1, 9), "z") == text
    assert grown(text, Place(1, 1, 0), "abcdefghij") == PartialText(1, 1, "abcdefghij")
    newer = grown(text, Place(2, 2, 0), "n")
    assert newer == PartialText(2, 2, "n")
    assert grown(newer, Place(1, 9, 0), "late twin") == newer
    assert grown(None, Place(1, 1, 5), "no beginning") is None
    assert grown(text, Place(1, 2, 5), "no beginning") == text
