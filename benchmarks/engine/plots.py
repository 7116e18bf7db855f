"""The plots: light background, axes with units, few points, text as text. One SVG for each measurement."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.engine.endurance import PROCESSES, Endurance
from benchmarks.engine.fairness import Fairness
from benchmarks.engine.figures import thinned, trailing
from benchmarks.engine.house import COUNTED, GOAL_MS, REFILL, WINDOW, Row
from benchmarks.engine.limit import MINUTE, PER_MINUTE, Variant
from benchmarks.figures import percentile

MOST_POINTS = 400
"""Of one curve: more cannot be seen, and the files stay small."""

_LOOK: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "assay",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 11,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.edgecolor": "#dddddd",
    "legend.framealpha": 0.9,
    "path.simplify": True,
}
_BLUE, _ORANGE, _GREEN, _GREY = "#2563a8", "#d1661f", "#2f855a", "#777777"


def fairness(found: Fairness, file: Path) -> None:
    """Waiting time of both tenants' jobs, by the time when they began."""
    with _drawn(file, "Waiting time of a big tenant's jobs and of a small one's") as axes:
        axes.plot(*_columns(thinned(found.big, MOST_POINTS)), color=_BLUE, label="tenant A, all jobs submitted at once")
        lone = [(one.started, one.seconds) for one in found.lone]
        axes.plot(*_columns(lone), "o", color=_ORANGE, label="tenant B, one job at a time")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_plain)
        axes.set_xlabel("seconds since A's first job began")
        axes.set_ylabel("from submitted to begun, seconds")
        axes.legend(loc="center right")


def limit(variants: Sequence[Variant], file: Path) -> None:
    """Calls within the last minute, over time."""
    with _drawn(file, f"Four worker processes at a provider that takes {PER_MINUTE} calls a minute") as axes:
        for variant, color in zip(variants, (_BLUE, _GREEN), strict=False):
            name = "provider tells its limit" if variant.headers else "provider only refuses"
            times = [float(second) for second in range(0, int(variant.calls[-1][0]), 2)]
            axes.plot(times, [trailing(variant.sent, at, MINUTE) for at in times], color=color, label=f"sent: {name}")
            accepted = [trailing(variant.accepted, at, MINUTE) for at in times]
            axes.plot(times, accepted, color=color, linestyle=":", label=f"accepted: {name}")
        axes.axhline(PER_MINUTE, color=_ORANGE, label="limit")
        axes.axvspan(*variants[0].storm, color="#f5d6c4", label="storm: 429 and 529 to everything")
        axes.set_xlabel("seconds since the first call")
        axes.set_ylabel("calls within the last 60 s")
        axes.set_ylim(bottom=0)
        axes.legend(loc="lower left", fontsize=9)


def backlog(rows: Sequence[Row], file: Path) -> None:
    """What a round and a claim cost, by the number of waiting jobs."""
    chosen = [row for row in rows if row.state == COUNTED and row.filling.tenants == rows[0].filling.tenants]
    with _drawn(file, f"Cost of dispatch by the number of waiting jobs ({rows[0].filling.tenants} tenants)") as axes:
        waiting = [row.filling.jobs for row in chosen]
        for name, of, color in (
            (f"round that fills {WINDOW} places", [row.rounds for row in chosen], _GREY),
            (f"round that fills {REFILL}", [row.refills for row in chosen], _BLUE),
            ("claim", [row.claims for row in chosen], _GREEN),
        ):
            axes.plot(waiting, [percentile(ms, 0.5) for ms in of], "o-", color=color, label=f"{name}, median")
            axes.plot(waiting, [percentile(ms, 0.95) for ms in of], "o:", color=color, label=f"{name}, 95th percentile")
        axes.axhline(GOAL_MS, color=_ORANGE, label="bound for the medians")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(0.5, 2000)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(_plain)
            axis.set_minor_formatter("")
        axes.set_xlabel("waiting jobs")
        axes.set_ylabel("milliseconds")
        axes.legend(loc="upper left", ncols=2, fontsize=9)


def endurance(found: Endurance, file: Path) -> None:
    """Memory and dead rows over the jobs done."""
    samples = thinned(found.samples, MOST_POINTS)
    done = [sample.done for sample in samples]
    with _drawn(file, f"{found.jobs:,} jobs through {PROCESSES} worker processes") as axes:
        for each in range(PROCESSES):
            memory = [sample.workers[each] / 1e6 for sample in samples]
            axes.plot(done, memory, color=(_BLUE, _GREEN)[each % 2], label=f"worker {each + 1}")
        broker = [sample.broker / 1e6 for sample in samples]
        axes.plot(done, broker, color=_GREY, label="broker")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("jobs done")
        axes.set_ylabel("memory, MB")
        dead = axes.twinx()
        dead.plot(
            done, [sample.dead / 1000 for sample in samples], color=_ORANGE, linewidth=1, label="dead rows (right)"
        )
        dead.set_ylabel("dead rows, thousands")
        dead.set_ylim(bottom=0)
        dead.grid(visible=False)
        lines = [*axes.get_lines(), *dead.get_lines()]
        axes.legend(lines, [str(line.get_label()) for line in lines], loc="center right", fontsize=9)


@contextmanager
def _drawn(file: Path, title: str) -> Iterator[Axes]:
    """Axes to draw on; the file is written at the end."""
    with mpl.rc_context(_LOOK):
        figure = Figure(figsize=(8, 4.2), layout="constrained", facecolor="white")
        axes = figure.add_subplot()
        axes.set_title(title, fontsize=12, loc="left")
        yield axes
        file.parent.mkdir(parents=True, exist_ok=True)
        # Without a date, so that the same figures give the same file.
        figure.savefig(file, format="svg", metadata={"Date": None})


def _plain(number: float, _at: object = None) -> str:
    """A tick as people write it."""
    return f"{number:,.0f}" if number >= 1 else f"{number:g}"


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
