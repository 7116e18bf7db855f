"""The tables at the end, for people."""

import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Run, Spread, paired_ratio, percentile, spread
from benchmarks.owners import Frame, Sample, by_innermost, by_own_function, by_owner, by_step

GOAL_RATE = 0.8
GOAL_CPU = 1.5
SHOWN_FUNCTIONS = 18

Runs = Mapping[str, Sequence[Run]]

_ROWS: tuple[tuple[str, str, Callable[[Run], float]], ...] = (
    ("jobs per second", "{:.0f}", lambda run: run.rate),
    ("submitted per second", "{:.0f}", lambda run: run.jobs / run.submit_seconds if run.submit_seconds else 0),
    ("CPU ms per job: workers", "{:.2f}", lambda run: run.worker_ms),
    ("  of that in the kernel", "{:.2f}", lambda run: run.cpu_ms(run.worker_system)),
    ("CPU ms per job: PostgreSQL", "{:.2f}", lambda run: run.cpu_ms(run.postgres_cpu)),
    ("CPU ms per job: Valkey", "{:.2f}", lambda run: run.cpu_ms(run.valkey_cpu)),
    ("CPU ms per job: submitting", "{:.2f}", lambda run: run.cpu_ms(run.submit_cpu)),
    ("CPU ms per job: all of these", "{:.2f}", lambda run: run.total_ms),
    ("memory per slot, MB", "{:.1f}", lambda run: run.slot_mb),
    ("commits per job", "{:.2f}", lambda run: run.commits_per_job),
    ("begun to answered, p50 ms", "{:.0f}", lambda run: percentile(run.running, 0.5) * 1000),
    ("begun to answered, p99 ms", "{:.0f}", lambda run: percentile(run.running, 0.99) * 1000),
    ("created to answered, p50 ms", "{:.0f}", lambda run: percentile(run.in_system, 0.5) * 1000),
    ("created to answered, p99 ms", "{:.0f}", lambda run: percentile(run.in_system, 0.99) * 1000),
)


def show_machine(console: Console, *, jobs: int, rounds: int, postgres: str, valkey: str) -> None:
    """What this ran on; the figures mean little elsewhere, the ratios more."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("celery", "anthropic", "sqlalchemy", "psycopg"))
    console.print(
        f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}, Python {platform.python_version()}, "
        f"PostgreSQL {postgres}, Valkey {valkey}, {libraries}"
    )
    console.print(
        f"{rounds} rounds of {jobs} classify jobs for each system, in turn; 2 processes x 50; "
        "the stub provider answers after 200 ms and its CPU is not counted."
    )


def warn_of_load(console: Console) -> None:
    """Say so when the machine is busy already."""
    load = os.getloadavg()[0]
    if load > 1:
        console.print(
            f"[yellow]The machine is busy (load average {load:.1f}): trust the ratios, not the figures.[/yellow]"
        )


def show_systems(console: Console, runs: Runs, trips: Mapping[str, float]) -> None:
    """The systems side by side."""
    table = Table(title="Median of the rounds (smallest - largest)", title_justify="left")
    table.add_column("")
    for name in runs:
        table.add_column(name, justify="right")
    for title, form, figure in _ROWS:
        table.add_row(title, *(_cell(form, spread([figure(run) for run in of])) for of in runs.values()))
        if title.startswith("commits"):
            table.add_row("database round trips per job", *(f"{trips[name]:.2f}" for name in runs))
    console.print(table)
    for name, of in runs.items():
        missing = sum(run.jobs - run.answered for run in of)
        if missing:
            console.print(f"[yellow]{name}: {missing} jobs were not answered by the model: compare with care.[/yellow]")


def show_goals(console: Console, runs: Runs) -> None:
    """How the pipeline stands against its goals."""
    ours, theirs = runs["assay"], runs["naive"]
    rate = paired_ratio([run.rate for run in ours], [run.rate for run in theirs])
    workers = paired_ratio([run.worker_ms for run in ours], [run.worker_ms for run in theirs])
    total = paired_ratio([run.total_ms for run in ours], [run.total_ms for run in theirs])
    console.print("Assay to naive Celery, round by round:")
    console.print(f"  jobs per second {_ratio(rate)}; goal: at least {GOAL_RATE} - {_met(rate.median >= GOAL_RATE)}")
    console.print(f"  CPU per job {_ratio(total)}; goal: at most {GOAL_CPU} - {_met(total.median <= GOAL_CPU)}")
    console.print(f"  of that the worker processes alone {_ratio(workers)} - {_met(workers.median <= GOAL_CPU)}")


def show_profile(console: Console, samples: Sequence[Sample], user_ms: float, checkout: Path) -> None:
    """Where the workers' own CPU goes: shares of the samples, applied to the user time per job of the timed rounds."""
    root = str(checkout)
    total = sum(sample.seen for sample in samples) or 1
    _shares(console, "Where the workers' user time goes: whose code", by_owner(samples, root), total, user_ms)
    _shares(console, "Where it goes: which step", by_step(samples), total, user_ms)
    _functions(console, "Our functions, with all they call", by_own_function(samples, root), total, user_ms, root)
    _functions(console, "Innermost functions, alone", by_innermost(samples), total, user_ms, root)
    console.print(
        f"{total} samples of one extra round (py-spy --gil: the thread that holds the interpreter), applied to the "
        f"{user_ms:.2f} ms of user time per job; time in the kernel stands in the first table."
    )


def _shares(console: Console, title: str, counted: Counter[str], total: int, user_ms: float) -> None:
    table = Table("", title=title, title_justify="left")
    table.add_column("share", justify="right")
    table.add_column("ms per job", justify="right")
    for name, count in counted.most_common():
        table.add_row(name, f"{count / total:.1%}", f"{count / total * user_ms:.2f}")
    console.print(table)


def _functions(console: Console, title: str, counted: Counter[Frame], total: int, user_ms: float, root: str) -> None:
    table = Table("function", "where", title=title, title_justify="left")
    table.add_column("share", justify="right")
    table.add_column("ms per job", justify="right")
    for frame, count in counted.most_common(SHOWN_FUNCTIONS):
        where = f"{_short(frame.file, root)}:{frame.line}" if frame.line else _short(frame.file, root)
        table.add_row(frame.function, where, f"{count / total:.1%}", f"{count / total * user_ms:.2f}")
    console.print(table)


def _short(file: str, root: str) -> str:
    inside = file.rpartition("site-packages/")[2]
    return inside.removeprefix(f"{root}/") if inside != file or file.startswith(root) else file.rpartition("/")[2]


def _cell(form: str, figure: Spread) -> str:
    if figure.most == 0:
        return "-"
    return f"{form.format(figure.median)} ({form.format(figure.least)}-{form.format(figure.most)})"


def _ratio(ratio: Spread) -> str:
    return f"{ratio.median:.2f} ({ratio.least:.2f}-{ratio.most:.2f})"


def _met(met: bool) -> str:
    return "[green]met[/green]" if met else "[red]missed[/red]"
