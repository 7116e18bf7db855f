"""One client's place in the events of a job: what it was told, and what is new to it. Pure."""

from dataclasses import dataclass
from uuid import UUID

from jobs.watching import Passed, Standing, path
from partials.entry import Place
from schemas.job import JobState
from web.events import sse

_DONE = ".done"
"""Behind a state in the id of the last event: the client has had everything."""


@dataclass(frozen=True)
class PartialText:
    """The text of an attempt so far; a later attempt's takes its place."""

    run: int
    attempt: int
    text: str


def grown(text: PartialText | None, place: Place, piece: str) -> PartialText | None:
    """The text with one more piece. A piece of an earlier attempt, or behind a gap, changes nothing: after a gap the whole text
    comes again."""
    is_newer = text is None or (place.run, place.attempt) > (text.run, text.attempt)
    if is_newer:
        return PartialText(place.run, place.attempt, piece) if place.start == 0 else text
    assert text is not None
    if (place.run, place.attempt) != (text.run, text.attempt) or place.start > len(text.text):
        return text
    whole = text.text[: place.start] + piece
    return PartialText(text.run, text.attempt, whole) if len(whole) > len(text.text) else text


class Follower:
    """A client of a job's events.

    Args:
        last_event_id: what the client says it was told last; anything that is no such id counts as nothing.
    """

    def __init__(self, job_id: UUID, last_event_id: str | None = None) -> None:
        last = last_event_id or ""
        self._job_id = job_id
        self._told = Passed.parse(last.removesuffix(_DONE))
        self._was_done = last.endswith(_DONE)
        self._attempt: tuple[int, int] | None = None
        self._chars = 0

    def has_everything(self, standing: Standing) -> bool:
        """Whether the client was told the end, and the job has not been queued again since."""
        return self._was_done and standing.is_final and not path(standing, self._told)

    def news(self, standing: Standing, text: PartialText | None) -> list[bytes]:
        """Events that the client has not had yet, in order. States first; text only of the attempt that runs now."""
        events = [self._state(passed, standing) for passed in path(standing, self._told)]
        if standing.state is JobState.RUNNING and text is not None and text.run == standing.fence:
            events += self._text(text)
        return events

    def done_id(self) -> str:
        """The id of the last event."""
        return f"{self._told}{_DONE}"

    def _state(self, passed: Passed, standing: Standing) -> bytes:
        self._told = passed
        data = {"job_id": self._job_id, "state": passed.state, "run": passed.run}
        if passed.state is standing.state and standing.answered_by is not None:
            data["answered_by"] = standing.answered_by
        return sse.event("state", data, id=str(passed))

    def _text(self, text: PartialText) -> list[bytes]:
        if (text.run, text.attempt) != self._attempt:
            self._attempt, self._chars = (text.run, text.attempt), 0
        start, new = self._chars, text.text[self._chars :]
        if not new:
            return []
        self._chars = len(text.text)
        # Without an id: a client that comes back is given the whole text again, and no state is skipped.
        return [sse.event("text", {"attempt": text.attempt, "from": start, "text": new})]
