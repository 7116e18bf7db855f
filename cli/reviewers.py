"""What the commands of people have in common: who decides, and which part of the queue is meant."""

import getpass
import os
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import wrong_usage

if TYPE_CHECKING:
    from schemas.review import QueueFilter

Reviewer = Annotated[
    str | None, typer.Option("--as", metavar="NAME", show_default=False, help="Who decides; else your login name.")
]
TaskOption = Annotated[str | None, typer.Option("--task", metavar="TASK", help="Only this task.")]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="REASON", help="Only what is here for this reason.")
]


def reviewer_name(given: str | None) -> str:
    """The name given, else the operating system's name of the user."""
    name = given
    if name is None:
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # no such user: a container with a bare uid
            name = f"uid-{os.getuid()}"
    if not name.strip() or "\x00" in name:
        raise wrong_usage("--as is empty; give a name.")
    return name.strip()


def check_task(task: str) -> None:
    """Refuse a task that does not exist."""
    from tasks import find_task

    find_task(task)


def part_of_queue(task: str | None, reason: str | None) -> "QueueFilter":
    """The filter that the options make.

    Raises:
        UnknownTask: there is no such task.
        Stop: there is no such reason.
    """
    from schemas.failure import FailureReason
    from schemas.review import QueueFilter

    if task is not None:
        check_task(task)
    if reason is not None and reason not in set(FailureReason):
        raise wrong_usage(f"{reason!r} is no reason; use one of: {', '.join(FailureReason)}.")
    return QueueFilter(task=task, reason=reason)
