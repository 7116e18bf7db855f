"""The named steps of a job's life, at which a process may die.

The chaos suite kills processes at each of them; :func:`watch` is its way in. Nothing else listens, and then passing a
step costs one comparison.
"""

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """A moment between two effects: what has happened is named, what comes next has not."""

    RECEIVED = "received"  # the message is here, nothing is claimed
    CLAIMING = "claiming"  # claim and intent are written, not committed
    BEGUN = "begun"  # claim and intent are committed, the call is not made
    REPLIED = "replied"  # the provider has answered, nothing of it is recorded
    CONCLUDING = "concluding"  # the conclusion is written, not committed
    CONCLUDED = "concluded"  # the conclusion is committed, the message not acknowledged
    PUTTING_BACK = "putting_back"  # the job's return to waiting is written, not committed
    DISPATCHING = "dispatching"  # jobs are moved into the window, not committed
    PUBLISHING = "publishing"  # the window is committed, no message is sent
    PUBLISHED = "published"  # one message of a round is sent, the others are not
    SWEEPING = "sweeping"  # the sweep's corrections are written, not committed


_watcher: Callable[[Step], None] | None = None


def passed(step: Step) -> None:
    """Say that a step is reached."""
    if _watcher is not None:
        _watcher(step)


def watch(watcher: Callable[[Step], None] | None) -> None:
    """Have this called at every step of this process; None ends it."""
    global _watcher  # noqa: PLW0603 - one watcher per process, set before any job runs
    _watcher = watcher
