"""The table: fault x runs x lost x twice x recovery."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.chaos.run import Result

HEADINGS = (
    "fault", "runs", "jobs", "lost", "twice", "unknown calls", "lands again s (median, max)", "recovered s (median, max)"
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    cells: tuple[str, ...]
    failed: bool


def lines(results: Sequence[Result]) -> list[Line]:
    """One per fault; all random mixes together are one."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        mixed = len(result.scenario.moments) > 1
        groups.setdefault("random mixes" if mixed else result.scenario.name, []).append(result)
    made = [_line(name, group) for name, group in groups.items()]
    return [*made, _line("all", results)] if len(made) > 1 else made


def markdown(results: Sequence[Result]) -> str:
    """The table as Markdown."""
    rows = [HEADINGS, ("---", *("---:" for _ in HEADINGS[1:])), *(line.cells for line in lines(results))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows) + "\n"


def show(console: Console, results: Sequence[Result]) -> None:
    """Print the table, and what broke."""
    table = Table(*HEADINGS)
    for heading in table.columns[1:]:
        heading.justify = "right"
    for line in lines(results):
        table.add_row(*line.cells, style="red" if line.failed else None)
    console.print(table)


def _line(name: str, results: Sequence[Result]) -> Line:
    verdicts = [result.verdict for result in results if result.verdict is not None]
    return Line(
        (
            name,
            str(len(results)),
            f"{sum(result.scenario.jobs for result in results):,}",
            str(sum(verdict.lost for verdict in verdicts)),
            str(sum(verdict.twice for verdict in verdicts)),
            str(sum(verdict.unknown for verdict in verdicts)),
            _spread([result.first_seconds for result in results]),
            _spread([result.recovered_seconds for result in results]),
        ),
        failed=any(result.problems for result in results),
    )


def _spread(seconds: Sequence[float | None]) -> str:
    known = [value for value in seconds if value is not None]
    return f"{median(known):.1f}, {max(known):.1f}" if known else "-"
