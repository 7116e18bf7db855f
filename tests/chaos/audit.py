"""Judges the books: jobs in = final states out, one answer per job, attempts = invoice, nothing left behind."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.books import LANDED, Books, Row
from tests.chaos.windows import Reservation

SHOWN = 3
"""Examples named per problem."""
RESERVED_SECONDS = 15
"""A reservation ends by itself within this: ASSAY_CALL_SECONDS of the crew and ten seconds more, and some."""


@dataclass(frozen=True)
class Verdict:
    """What the audit found.

    Attributes:
        lost: jobs that did not land.
        twice: jobs concluded more than once.
        stood_in: landed jobs that no model answered.
        unknown: attempts shown as unknown: maybe billed.
        unmatched: calls on the invoice whose reply nobody recorded.
        booked, charged: tokens of the attempts, and of the calls on the invoice that they name.
        problems: sentences; empty = everything holds.
    """

    lost: int
    twice: int
    stood_in: int
    unknown: int
    unmatched: int
    booked: int
    charged: int
    problems: list[str] = field(default_factory=list)


def audit(books: Books, explained: Iterable[str]) -> Verdict:
    """Judge a scenario.

    Args:
        explained: failure reasons that its fault explains; a job that no model answered must carry one of them.
    """
    lost = [job for job in books.jobs if job["state"] not in LANDED]
    twice = [job for job in books.jobs if job["accepted"] + job["conclusions"] > 1 or job["answers"] > 1]
    unmatched = _unmatched(books)
    unknown = [attempt for attempt in books.attempts if attempt["outcome"] == "unknown"]
    problems = [
        *_count(books, lost, twice),
        *_answers(books.jobs),
        *_reasons(books.jobs, frozenset(explained)),
        *_left_behind(books),
        *_invoice(books, unmatched, unknown),
    ]
    named = {attempt["request_id"] for attempt in books.attempts if attempt["request_id"]}
    return Verdict(
        lost=len(lost) + max(0, books.submitted - len(books.jobs)),
        twice=len(twice),
        stood_in=sum(job["state"] in LANDED and job["answered_by"] != "model" for job in books.jobs),
        unknown=len(unknown),
        unmatched=len(unmatched),
        booked=sum(_tokens(attempt) for attempt in books.attempts),
        charged=sum(_tokens(charge["usage"]) for charge in books.invoice if charge["request_id"] in named),
        problems=problems,
    )


def _count(books: Books, lost: list[Row], twice: list[Row]) -> list[str]:
    found = []
    if len(books.jobs) != books.submitted:
        found.append(f"{books.submitted} jobs were submitted and {len(books.jobs)} are there")
    if lost:
        states = Counter(job["state"] for job in lost)
        found.append(f"{len(lost)} jobs did not land ({dict(states)}): {_some(job['id'] for job in lost)}")
    if twice:
        found.append(f"{len(twice)} jobs were concluded more than once: {_some(job['id'] for job in twice)}")
    return found


def _answers(jobs: list[Row]) -> list[str]:
    """A job has an answer if and only if it is answered; a model's answer stands on an accepted attempt."""
    wrong = [job for job in jobs if (job["state"] == "answered") != (job["answers"] == 1)]
    baseless = [job for job in jobs if job["answered_by"] == "model" and job["answering_attempt"] != "accepted"]
    orphans = [job for job in jobs if job["accepted"] and job["answered_by"] != "model"]
    found = []
    if wrong:
        found.append(f"{len(wrong)} jobs' states and answers disagree: {_some(job['id'] for job in wrong)}")
    if baseless:
        found.append(f"{len(baseless)} model answers come from no accepted attempt: {_some(j['id'] for j in baseless)}")
    if orphans:
        found.append(f"{len(orphans)} accepted attempts answered nothing: {_some(job['id'] for job in orphans)}")
    return found


def _reasons(jobs: list[Row], explained: frozenset[str]) -> list[str]:
    """A job that the model did not answer has a reason, and the fault explains it."""
    strange = Counter(
        f"{job['state']} by {job['answered_by']}: {job['failure_reason']}"
        for job in jobs
        if job["state"] in LANDED and job["answered_by"] != "model" and job["failure_reason"] not in explained
    )
    return [f"{count} jobs ended as the fault does not explain ({how})" for how, count in strange.items()]


def _left_behind(books: Books) -> list[str]:
    leases = [job["id"] for job in books.jobs if job["lease_until"] is not None]
    calls = [attempt["job_id"] for attempt in books.attempts if attempt["outcome"] == "open"]
    found = []
    if leases:
        found.append(f"{len(leases)} leases are left: {_some(leases)}")
    if calls:
        found.append(f"{len(calls)} attempts are still open: {_some(calls)}")
    kept = kept_places(books.reservations, books.attempts)
    if kept:
        found.append(f"{len(kept)} reservations are left: {_some(kept)}")
    if books.foreign:
        found.append(f"{len(books.foreign)} rows stand with another's: {_some(books.foreign)}")
    return found


def kept_places(reservations: list[Reservation], attempts: list[Row]) -> list[str]:
    """Places that nobody gave back. That of a call whose worker died ends by itself, and soon."""
    dead = {f"{row['job_id']}:{row['number']}" for row in attempts if row["outcome"] == "unknown"}
    return [
        f"{place.attempt} for {place.seconds:.0f} s"
        for place in reservations
        if place.attempt.rpartition(":")[0] not in dead or place.seconds > RESERVED_SECONDS
    ]


def _invoice(books: Books, unmatched: list[Row], unknown: list[Row]) -> list[str]:
    """Each reply that was recorded is on the invoice with the same tokens; each charge that was not is shown as unknown."""
    charges = {charge["request_id"]: charge for charge in books.invoice}
    naming = [attempt for attempt in books.attempts if attempt["request_id"]]
    invented = [attempt["request_id"] for attempt in naming if attempt["request_id"] not in charges]
    repeated = [name for name, count in Counter(attempt["request_id"] for attempt in naming).items() if count > 1]
    replied = [a for a in naming if a["input_tokens"] is not None and a["request_id"] in charges]
    wrong = [a["request_id"] for a in replied if _tokens(a) != _tokens(charges[a["request_id"]]["usage"])]
    # A call that broke has no reply to take figures from; it may have been billed for what had been said until then.
    nameless = [a for a in books.attempts if not a["request_id"] and a["outcome"] == "failed"]
    found = []
    if invented:
        found.append(f"{len(invented)} attempts name calls that the provider never answered: {_some(invented)}")
    if repeated:
        found.append(f"{len(repeated)} calls are booked by several attempts: {_some(repeated)}")
    if wrong:
        found.append(f"{len(wrong)} attempts have other tokens than the invoice: {_some(wrong)}")
    if len(unmatched) > len(unknown) + len(nameless):
        found.append(
            f"{len(unmatched)} calls are on the invoice alone, but only {len(unknown)} attempts are unknown and "
            f"{len(nameless)} broke without a name: {_some(charge['request_id'] for charge in unmatched)}"
        )
    return found


def _unmatched(books: Books) -> list[Row]:
    named = {attempt["request_id"] for attempt in books.attempts}
    return [charge for charge in books.invoice if charge["request_id"] not in named]


def _tokens(row: Row) -> int:
    return (row.get("input_tokens") or 0) + (row.get("output_tokens") or 0)


def _some(things: Iterable[object]) -> str:
    listed = [str(thing) for thing in things]
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more
