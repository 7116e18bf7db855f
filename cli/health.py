"""Health as people read it: a verdict, the figures behind it, and what is wrong."""

from typing import TYPE_CHECKING

from cli.output import print_fields, print_line
from cli.progress import duration

if TYPE_CHECKING:
    from schemas.health import DutyTurn, Health


def print_health(health: "Health") -> None:
    """A few lines of figures, then a line per finding and one with what to do."""
    print_line(f"Work: {health.verdict}")
    print_fields(lines_of(health))
    for finding in health.findings:
        print_line(f"\n{finding.verdict}: {finding.problem}\n  {finding.advice}")


def lines_of(health: "Health") -> list[tuple[str, str | None]]:
    """The figures, one line each; None where there is nothing to say."""
    memory = f", {health.memory_bytes / 1e6:,.0f} MB" if health.memory_bytes is not None else ""
    return [
        ("waiting", _waiting(health)),
        ("oldest", _oldest(health)),
        ("claims", f"{health.claims_per_minute:,.0f} a minute{_quiet(health)}"),
        ("workers", f"{health.workers} processes, {health.busy} of {health.slots} slots busy{memory}"),
        ("dispatch", _turn(health.dispatch)),
        ("sweep", _turn(health.sweep)),
        ("deaf", ", ".join(health.deaf) or None),
        ("was deaf", _was_deaf(health)),
        ("lost leases", f"{health.expired_leases:,}" if health.expired_leases else None),
        ("open batches", f"{health.open_batches:,}" if health.open_batches else None),
    ]


def _waiting(health: "Health") -> str:
    waiting = health.waiting
    now = f"{'more than ' if waiting.at_least else ''}{waiting.jobs:,} jobs"
    later = f"{'more than ' if waiting.later_at_least else ''}{waiting.later:,}"
    return f"{now}, and {later} for a later moment" if waiting.later else now


def _oldest(health: "Health") -> str | None:
    oldest = health.oldest
    if oldest is None:
        return None
    again = ", has run before" if oldest.has_run else ""
    return f"{duration(oldest.seconds)}: job {oldest.job_id}, {oldest.task} of tenant {oldest.tenant_id}{again}"


def _quiet(health: "Health") -> str:
    return f"; none for {duration(health.quiet_seconds)}" if health.quiet_seconds >= 1 else ""


def _turn(turn: "DutyTurn") -> str:
    if turn.seconds_ago is None:
        return "no turn yet"
    return f"last turn {duration(turn.seconds_ago)} ago, by {turn.holder or 'a process that has left'}"


def _was_deaf(health: "Health") -> str | None:
    return f"{', '.join(health.deaf_lately)} (ended itself)" if health.deaf_lately else None
