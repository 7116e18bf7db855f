"""The tables at the end, for people, and the same as Markdown for the README."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import psutil
import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.engine.endurance import Endurance
from benchmarks.engine.fairness import Fairness
from benchmarks.engine.ground import Ground
from benchmarks.engine.house import GOAL_MS, REFILL, WINDOW, Row
from benchmarks.engine.limit import AT_LEAST, AT_MOST, PER_MINUTE, Variant
from benchmarks.figures import percentile, spread

LONG_RUN = 100_000
FLAT_KB = 20.0
"""Growth per 1,000 jobs that counts as flat: 2 MB in a hundred thousand, of 200 MB that a worker process has."""


@dataclass(frozen=True)
class Line:
    """One figure of the summary.

    Attributes:
        goal: what it has to be, in words; empty where nothing is asked of it.
        met: None where nothing is asked of it.
    """

    what: str
    found: str
    goal: str = ""
    met: bool | None = None


@dataclass
class Summary:
    """All figures of a measurement."""

    title: str
    lines: list[Line] = field(default_factory=list)

    def add(self, what: str, found: str, goal: str = "", met: bool | None = None) -> None:
        """One more."""
        self.lines.append(Line(what, found, goal, met))

    def table(self) -> Table:
        """For the terminal."""
        table = Table("", "measured", "must be", "", title=self.title, title_justify="left")
        for line in self.lines:
            verdict = "" if line.met is None else "[green]met[/green]" if line.met else "[red]missed[/red]"
            table.add_row(line.what, line.found, line.goal, verdict)
        return table

    def markdown(self) -> str:
        """For the README."""
        head = f"**{self.title}**\n\n| | measured | must be |\n|---|---|---|\n"
        return head + "".join(f"| {line.what} | {line.found} | {line.goal} |\n" for line in self.lines)


def machine(ground: Ground) -> str:
    """What this runs on; the figures mean little elsewhere, the ratios more."""
    with psycopg.connect(ground.admin_url) as connection, ground.broker() as broker:
        postgres = connection.info.parameter_status("server_version")
        about = broker.info("server")
    valkey = about.get("valkey_version") or about.get("redis_version")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("celery", "anthropic", "sqlalchemy", "psycopg"))
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {psutil.virtual_memory().total / 2**30:.0f} GB, {platform.system()}, "
        f"Python {platform.python_version()}, PostgreSQL {postgres}, Valkey {valkey}, {libraries}"
    )


def warn_of_load(console: Console) -> None:
    """Say so when the machine is busy already."""
    load = os.getloadavg()[0]
    if load > 1:
        console.print(f"[yellow]The machine is busy (load average {load:.1f}): times will be too long.[/yellow]")


def fairness(found: Fairness) -> Summary:
    """Waiting time, shares and throughput."""
    summary = Summary("A big tenant and a small one")
    waits, rounds = [one.seconds for one in found.lone], [one.rounds for one in found.lone]
    last = [seconds for _, seconds in found.big][-max(1, len(found.big) // 10) :]
    summary.add(
        "tenant B's lone jobs", f"{len(waits)}, beside tenant A's backlog, of which {len(found.big):,} began meanwhile"
    )
    summary.add("dispatch rounds until B's job was published", _of(rounds, "{:.0f}"), "1: the next", max(rounds) == 1)
    summary.add("B: submitted to begun, seconds", _of(waits, "{:.2f}"))
    summary.add("A: submitted to begun, the last tenth of those that began, seconds", _of(last, "{:.1f}"))
    cost = [share.cost for share in found.shares]
    met = all(2.85 <= ratio <= 3.15 for ratio in cost)
    summary.add(
        "weights 3:1, estimated cost served while both are loaded", _of(cost, "{:.2f}"), "3.00, within 5 %", met
    )
    summary.add(
        "  the same in jobs (the heavy tenant's documents are longer)",
        _of([one.jobs for one in found.shares], "{:.2f}"),
    )
    summary.add("B alone, jobs per second", _of(found.alone, "{:.0f}"))
    summary.add("A and B together, jobs per second", _of(found.together, "{:.0f}"))
    ratios = [one / both for one, both in zip(found.alone, found.together, strict=True)]
    summary.add("  alone to together, run by run", _of(ratios, "{:.2f}"), "about 1: alone it gets everything")
    return summary


def limit(variants: Sequence[Variant]) -> list[Summary]:
    """One table for each variant."""
    return [_limit(variant) for variant in variants]


def _limit(found: Variant) -> Summary:
    how = "answers tell of the limit" if found.headers else "only 429 tells of the limit"
    summary = Summary(f"{PER_MINUTE} requests a minute, four worker processes, {how}")
    most, least = PER_MINUTE * AT_MOST, PER_MINUTE * AT_LEAST
    busy = f"{found.busiest} (from second {found.busiest_from:.0f} on)"
    summary.add(
        "calls sent in the busiest 60 s, refused ones included", busy, f"at most {most:.1f}", found.busiest <= most
    )
    summary.add("  the minutes around the storm included", f"{found.busiest_in_storm}")
    accepted = f"{found.per_minute:.1f} (by their distances {found.pace:.1f})"
    summary.add("accepted per minute, after the first", accepted, f"at least {least:.1f}", found.pace >= least)
    share = found.refused / max(1, len(found.sent) - found.in_storm)
    summary.add(
        "refused with 429 outside the storm", f"{found.refused} ({share:.1%})", "no storm of them", share < 0.05
    )
    summary.add("calls sent during the storm", f"{found.in_storm} in {found.storm[1] - found.storm[0]:.0f} s")
    recovery = "not seen" if found.recovery is None else f"{found.recovery:.0f}"
    met = found.recovery is not None and found.recovery <= 60
    summary.add("seconds from the storm's end to full pace", recovery, "at most 60", met)
    return summary


def backlog(rows: Sequence[Row]) -> Summary:
    """One line for each state."""
    summary = Summary("Waiting jobs: median / 95th percentile of dispatch rounds and of a claim, in ms")
    for row in rows:
        what = f"{row.filling.jobs:,} jobs of {row.filling.tenants:,} tenants, {row.state}"
        rounds = f"round of {WINDOW}: {_two(row.rounds)}; of {REFILL}: {_two(row.refills)}"
        found = f"{rounds}; claim: {_two(row.claims)}; broker {row.broker_bytes / 1000:.0f} kB"
        asked = row.asked
        met = max(row.round_ms, row.claim_ms) < GOAL_MS if asked else None
        summary.add(what, found, f"medians under {GOAL_MS:g} ms" if asked else "", met)
    return summary


def endurance(found: Endurance) -> list[Summary]:
    """Memory and dead rows, then the tables' sizes."""
    summary = Summary(f"{found.jobs:,} jobs through two worker processes")
    summary.add("jobs in a final state", f"{found.landed:,}", f"{found.jobs:,}", found.landed == found.jobs)
    summary.add("jobs per second", f"{found.rate:.0f}")
    growth = ", ".join(f"{kb:+.1f}" for kb in found.growth)
    # A process that has just started still grows: only the long run says whether it goes on.
    met = max(found.growth) < FLAT_KB if found.jobs >= LONG_RUN else None
    what = "memory of the worker processes, KB per 1,000 jobs, after the first fifth"
    summary.add(what, growth, f"under {FLAT_KB:g}: 1 % in {LONG_RUN:,} jobs", met)
    memory = ", ".join(f"{bytes_ / 1e6:.0f}" for bytes_ in found.samples[-1].workers)
    summary.add("  at the end, MB", memory)
    dead = [sample.dead for sample in found.samples]
    summary.add("dead rows, most at a time", f"{max(dead):,}")
    left = f"{found.dead_after:,}, after {found.vacuums_after} runs of autovacuum"
    allowed = found.jobs * 0.05 + 1000
    summary.add(
        "dead rows left once autovacuum had its turns", left, "less than 5 % of the jobs", found.dead_after < allowed
    )
    summary.add("broker, most, MB", f"{max(sample.broker for sample in found.samples) / 1e6:.1f}")
    tables = Summary("Tables: KB per 1,000 jobs, predicted from the rows of the first 1,000 and found")
    for name, size in found.tables.items():
        ratio = size.actual_rows / size.predicted_rows if size.predicted_rows else 0.0
        rows = f"rows {size.actual_rows / 1000:,.0f} for {size.predicted_rows / 1000:,.0f} predicted ({ratio:.2f})"
        indexes = f"indexes {size.actual_indexes / 1000:,.0f} for {size.predicted_indexes / 1000:,.0f}"
        tables.add(name, f"{rows}; {indexes}")
    predicted = sum(size.predicted_rows + size.predicted_indexes for size in found.tables.values())
    actual = sum(size.actual_rows + size.actual_indexes for size in found.tables.values())
    ratio = actual / predicted
    tables.add(
        "all together", f"{actual / 1000:,.0f} for {predicted / 1000:,.0f} ({ratio:.2f})", "at most 1.25", ratio <= 1.25
    )
    return [summary, tables]


def _two(values: Sequence[float]) -> str:
    return f"{percentile(values, 0.5):.1f} / {percentile(values, 0.95):.1f}"


def _of(values: Sequence[float], form: str) -> str:
    """Median, and smallest to largest."""
    found = spread(values)
    if found.least == found.most:
        return form.format(found.median)
    return f"{form.format(found.median)} ({form.format(found.least)} to {form.format(found.most)})"
