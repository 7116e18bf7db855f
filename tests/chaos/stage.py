"""What a fault acts on while a batch runs, and how long it may act."""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from stack.scripted.plays import Play
from tests.chaos.books import counts, held_by, sessions, settled, still_held
from tests.chaos.services import Grounds
from tests.chaos.workers import Crew, Member
from tests.house import eventually

PATIENCE_SECONDS = 120.0
"""What has not happened within this time will not: a job that has not landed is lost."""


TAKEN_SECONDS = 30.0
"""Whatever a process stands still in the middle of, others have taken over its jobs (leases of 3 s) by then."""


@dataclass(frozen=True)
class Periods:
    """How long faults last, in seconds, and how often they strike.

    Attributes:
        down: a server is away.
        frozen_server: a server stands still.
        twin: a worker stands still for so much longer, when others have taken over its jobs.
        storm: the provider misbehaves.
        blows: how many times a process is killed in one scenario.
    """

    down: float = 30.0
    frozen_server: float = 10.0
    twin: float = 1.0
    storm: float = 6.0
    blows: int = 2


SHORT = Periods(down=2.0, frozen_server=2.0, twin=0.2, storm=1.0, blows=1)
"""For the short run in the test suite."""


@dataclass(frozen=True)
class Stage:
    """A batch under way, on its grounds, with its crew. The dice are the fault's own."""

    grounds: Grounds
    crew: Crew
    dice: random.Random
    periods: Periods
    jobs: int

    def wait_for_share(self, share: float) -> None:
        """Wait until this part of the jobs has landed."""
        wanted = max(1, int(self.jobs * share))

        def landed() -> bool:
            found = counts(self.grounds.house)
            return found is not None and found[0] >= wanted

        eventually(landed, f"{wanted} jobs have landed", seconds=PATIENCE_SECONDS)

    def holder(self, duty: str) -> int:
        """The pid of the worker process that has the duty now."""
        found = (
            "SELECT workers.name FROM duties JOIN workers ON workers.id = duties.holder"
            f" WHERE duties.name = '{duty}' AND duties.held_until > now()"
        )

        def pid() -> int | None:
            try:
                rows = self.grounds.house.query(found)
            except psycopg.OperationalError:
                return None
            number = re.search(r":(\d+)$", rows[0][0]) if rows else None
            ours = {member.pid for member in self.crew.members}
            return int(number[1]) if number is not None and int(number[1]) in ours else None

        return eventually(pid, f"a worker has the duty {duty}", seconds=PATIENCE_SECONDS) or 0

    def wait_for_successor(self, duty: str, pid: int) -> None:
        """Wait until another process has taken a turn at the duty."""
        eventually(lambda: self.holder(duty) != pid, f"another worker has the duty {duty}", seconds=TAKEN_SECONDS)

    def wait_until_taken(self, pid: int) -> None:
        """Wait until the other workers have taken over all that a process runs which stands still."""
        held = held_by(self.grounds.house, pid)
        if not settled(lambda: still_held(self.grounds.house, held) == 0, TAKEN_SECONDS):
            left = still_held(self.grounds.house, held)
            raise AssertionError(
                f"{left} of {len(held)} jobs of a worker that stands still are not taken over within {TAKEN_SECONDS:.0f} s;"
                f" sessions: {sessions(self.grounds.house)}"
            )

    def some_member(self) -> Member:
        """A worker that consumes."""

        def ready() -> list[Member]:
            return [member for member in self.crew.members if member.is_ready]

        return self.dice.choice(eventually(ready, "a worker consumes", seconds=PATIENCE_SECONDS))

    @contextmanager
    def storm(self, *plays: Play, share: float) -> Iterator[None]:
        """This part of the calls is answered by these plays while the block runs."""
        with self.grounds.house.provider.storm(*plays, share=share, seed=self.dice.randrange(2**32)):
            before = len(self.grounds.house.provider.invoice())
            yield
            calls = [charge["play"] for charge in self.grounds.house.provider.invoice()[before:]]
        assert {play["play"] for play in plays} & set(calls), f"nobody felt the weather in {len(calls)} calls"
