"""What a running stack tells others of itself: ``ASSAY_HOME/run/stack.json``, for its owner's eyes alone."""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from schemas.base import Contract
from stack.home import Home, lock_is_held

PartCondition = Literal["starting", "up", "down"]


class PartState(Contract):
    """One part.

    Attributes:
        state: ``up`` once it has proved that it works; ``down`` while it waits to be started again.
        pid: of its process, while there is one.
        started: when that process was made, in seconds since 1970; tells it from a later one with the same pid.
        url: where it answers, with its password.
    """

    name: str
    state: PartCondition
    pid: int | None = None
    started: float | None = None
    url: str | None = None


class Connections(Contract):
    """Where everything is, with passwords. None = not (yet) known.

    Attributes:
        database_url: as the application's role, which row security binds; for workers and producers.
        database_admin_url: as the owner of the tables; for migrations alone.
        broker_url: where Celery's messages go.
        redis_url: where Celery's results are kept.
        anthropic_api_key: of the local model alone; a real key is never written to disk.
        model: the id that all tiers use, where the local model runs.
    """

    database_url: str | None = None
    database_admin_url: str | None = None
    broker_url: str | None = None
    redis_url: str | None = None
    anthropic_base_url: str | None = None
    anthropic_api_key: str | None = None
    model: str | None = None
    flower_url: str | None = None
    web_url: str | None = None


class StackState(Contract):
    """A running stack.

    Attributes:
        pid: of the supervisor.
        ready: every part has been up.
    """

    pid: int
    ready: bool
    parts: list[PartState]
    connections: Connections

    def part(self, name: str) -> PartState | None:
        """The part of that name."""
        return next((part for part in self.parts if part.name == name), None)


def read_state(root: Path) -> StackState | None:
    """The stack that runs in this ASSAY_HOME; None where none does (a file left by a killed one does not count)."""
    home = Home(root.expanduser())
    return left_state(home) if lock_is_held(home) else None


def left_state(home: Home) -> StackState | None:
    """What the state file says, whether or not that stack still lives."""
    try:
        return StackState.model_validate_json(home.state_file.read_bytes())
    except (OSError, ValidationError):
        return None
