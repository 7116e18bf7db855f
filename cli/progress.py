"""A batch's progress as people see it: bars on a terminal, lines elsewhere."""

from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from jobs.show import Progress


@dataclass(frozen=True)
class Standing:
    """Where a batch stands, and how fast it goes.

    Attributes:
        rate: jobs landed per second while it was watched; None before one has.
        seconds_left: at that rate; None where it cannot be said.
    """

    progress: "Progress"
    rate: float | None
    seconds_left: float | None

    def as_dict(self) -> dict[str, Any]:
        """The same for programs."""
        progress = self.progress
        return {
            "batch_id": progress.batch_id,
            "task": progress.task,
            "total": progress.total,
            "receiving": progress.is_receiving,
            "landed": progress.landed,
            "over": progress.is_over,
            "states": progress.states,
            "answered_by": progress.answered_by,
            "input_tokens": int(progress.input_tokens),
            "output_tokens": int(progress.output_tokens),
            "attempts": progress.attempts,
            "repairs": progress.repairs,
            "cost_usd": progress.cost_usd,
            "jobs_per_second": None if self.rate is None else round(self.rate, 3),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left, 1),
        }


class BatchProgress:
    """Measures the rate of one batch from the first look on."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def standing(self, progress: "Progress", now: float) -> Standing:
        """Where it stands at ``now``, in seconds of a monotonic clock."""
        if self._first is None:
            self._first = (now, progress.landed)
        began, landed_before = self._first
        landed, elapsed = progress.landed - landed_before, now - began
        rate = landed / elapsed if landed > 0 and elapsed > 0 else None
        if progress.is_receiving:
            return Standing(progress, None, None)
        left = progress.total - progress.landed
        return Standing(progress, rate, 0.0 if left == 0 else left / rate if rate else None)


def line_of(standing: Standing) -> str:
    """One line of text."""
    progress = standing.progress
    if progress.is_receiving:
        return f"{progress.task} {received(progress.total)}"
    return f"{progress.task} {progress.landed:,}/{progress.total:,}  {details(standing)}"


def received(lines: int) -> str:
    """How far the upload of a batch has come of which no job exists yet."""
    return f"still being received: {lines:,} lines so far"


def details(standing: Standing) -> str:
    """Done by whom, what waits for a person, what failed, how fast, and tokens."""
    progress = standing.progress
    said = [
        f"{by} {progress.answered_by[by]:,}"
        for by in ("model", "cache", "rules", "person")
        if by in progress.answered_by
    ]
    said += [
        f"{name} {progress.states[state]:,}"
        for state, name in (
            ("in_review", "in review"),
            ("failed", "failed"),
            ("cancelled", "cancelled"),
            ("running", "running"),
        )
        if progress.states.get(state)
    ]
    if standing.rate is not None:
        said.append(f"{standing.rate:.1f}/s")
    if standing.seconds_left:
        said.append(f"{duration(standing.seconds_left)} left")
    said.append(f"tokens {int(progress.input_tokens):,} in, {int(progress.output_tokens):,} out")
    return " · ".join(said)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class LiveBars:
    """One bar per batch, redrawn in place; does nothing where it is off."""

    def __init__(self, *, on: bool) -> None:
        self._on = on
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._on:
            from rich.live import Live

            from cli.output import console

            self._live = Live(console=console(), auto_refresh=False)
            self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, at)

    def draw(self, standings: list[Standing]) -> None:
        """Draw them as they are now."""
        if self._live is not None:
            self._live.update(_bars(standings), refresh=True)


def _bars(standings: list[Standing]) -> "RenderableType":
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    for standing in standings:
        progress = standing.progress
        if progress.is_receiving:
            grid.add_row(Text(progress.task), Text(received(progress.total)))
            continue
        done = Text(f"{progress.landed:,}/{progress.total:,}")
        bar = ProgressBar(total=max(progress.total, 1), completed=progress.landed, width=24)
        grid.add_row(Text(progress.task), bar, done, Text(details(standing), overflow="fold"))
    return grid
