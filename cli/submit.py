"""`assay submit`: documents in, a job or a batch out."""

import importlib.util
import pkgutil
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.documents import lines_of, opened, read_document
from cli.errors import wrong_usage
from cli.fields import DOCUMENT, check_complete, read_fields
from cli.options import DEFAULT_TENANT, AsJson, Tenant
from cli.output import print_json, print_line
from cli.service import Service, connected

if TYPE_CHECKING:
    from jobs.submit import Submitted
    from schemas.job import JobOptions
    from tasks.spec import AnyTask

_SPAN = re.compile(r"\+?(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Priority(StrEnum):
    """``schemas.job.Priority`` again, for help without its imports."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class OnOutage(StrEnum):
    """``schemas.job.OnOutage`` again, for help without its imports."""

    FALLBACK = "fallback"
    WAIT = "wait"
    RULES = "rules"
    PERSON = "person"


class Fallback(StrEnum):
    """Who stands in for the model: ``schemas.job.FallbackPolicy`` again, for help without its imports."""

    RULES_THEN_PERSON = "rules-then-person"
    RULES = "rules"
    PERSON = "person"
    FAIL = "fail"


def task_names() -> list[str]:
    """The tasks there are, found without importing them: help must be quick."""
    found = importlib.util.find_spec("tasks")
    places = found.submodule_search_locations if found is not None else None
    return sorted(module.name for module in pkgutil.iter_modules(places) if module.ispkg)


def submit(
    task: Annotated[
        str, typer.Argument(metavar="TASK", show_default=False, help=f"One of: {', '.join(task_names())}.")
    ],
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", show_default=False, help="One document, UTF-8 text; - is standard input."),
    ] = None,
    jsonl: Annotated[
        str | None,
        typer.Option("--jsonl", metavar="FILE", help='A batch: one JSON object a line, {"text": ...}; - is stdin.'),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME", help="A label to choose from; repeat it (classify).")
    ] = None,
    multi: Annotated[bool, typer.Option("--multi", help="Several labels may fit (classify).")] = False,
    schema: Annotated[
        str | None,
        typer.Option("--schema", metavar="NAME|FILE", help="A known schema, or a JSON Schema file (extract)."),
    ] = None,
    max_words: Annotated[
        int | None, typer.Option("--max-words", metavar="N", help="Longest summary (summarize).")
    ] = None,
    audience: Annotated[
        str | None, typer.Option("--audience", metavar="WHO", help="For whom it is written (summarize).")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="NAME=VALUE", help="Any field of the request, as JSON or plain text; repeat."),
    ] = None,
    fallback: Annotated[
        Fallback, typer.Option("--fallback", help="Who stands in when there is no acceptable model answer.")
    ] = Fallback.RULES_THEN_PERSON,
    deadline: Annotated[
        str | None,
        typer.Option(
            "--deadline", metavar="WHEN", help="Then the stand-in answers: 2026-12-01T18:00Z, or 30m, 2h, 1d."
        ),
    ] = None,
    priority: Annotated[
        Priority, typer.Option("--priority", help="Higher ones go first; a lower one keeps a small share.")
    ] = Priority.NORMAL,
    on_outage: Annotated[
        OnOutage, typer.Option("--on-outage", help="What becomes of it when the provider stays away.")
    ] = OnOutage.FALLBACK,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="V", help="This prompt version instead of the active one.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option("--idempotency-key", metavar="K", help="The same key and input again give the same job."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the answer and print it.")] = False,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: AsJson = False,
) -> None:
    """Submit one document, or a batch of them: all or nothing."""
    from tasks import find_task

    if (file is None) == (jsonl is None):
        raise wrong_usage("Give one document (FILE, or - for standard input) or a batch with --jsonl FILE.")
    chosen = find_task(task)
    conveniences = {
        "labels": label,
        "multi": multi,
        "schema": schema,
        "max_words": max_words,
        "audience": audience,
    }
    fields = read_fields(chosen, conveniences, field or [])
    options = _options(fallback, deadline, prompt, priority, on_outage)
    if file is not None:
        check_complete(chosen, fields)
        fields[DOCUMENT] = read_document(file)
    with connected(tenant) as service:
        submitted = _submit(service, chosen, fields, options, jsonl, idempotency_key)
        if not (wait and as_json):
            _announce(submitted, tenant, as_json=as_json, wait=wait)
        if wait:
            _wait(service, submitted, as_json=as_json)


def _submit(
    service: Service,
    task: "AnyTask",
    fields: dict[str, Any],
    options: "JobOptions",
    jsonl: str | None,
    key: str | None,
) -> "Submitted":
    if key is not None and not key.strip():
        raise wrong_usage("--idempotency-key is empty; give a key or leave it out.")
    if jsonl is None:
        return service.submit_one(task.name, fields, options, key)
    with opened(jsonl) as stream:
        return service.submit_batch(task.name, lines_of(stream), fields, options, key)


def _options(
    fallback: Fallback, deadline: str | None, prompt: str | None, priority: Priority, on_outage: OnOutage
) -> "JobOptions":
    from schemas import job

    return job.JobOptions(
        fallback=job.FallbackPolicy(fallback.value),
        deadline=None if deadline is None else _deadline(deadline),
        prompt_version=prompt,
        priority=job.Priority(priority.value),
        on_outage=job.OnOutage(on_outage.value),
    )


def _deadline(text: str) -> datetime | timedelta:
    """A span stays a span: submitted again tomorrow with the same idempotency key, it is the same request."""
    span = _read_span(text)
    return read_deadline(text, datetime.now(UTC)) if span is None else span


def _read_span(text: str) -> timedelta | None:
    """A span such as ``30m``; None where this is none."""
    span = _SPAN.fullmatch(text.strip())
    return None if span is None else timedelta(**{_UNITS[span[2]]: int(span[1])})


def read_deadline(text: str, now: datetime, *, option: str = "--deadline") -> datetime:
    """A moment as ISO 8601 (local time where it names no zone), or a span from now such as ``30m``.

    Raises:
        Stop: it is neither.
    """
    try:
        span = _read_span(text)
        if span is not None:
            return now + span
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong_usage(
            f"{option} {text[:80]!r} is no time; write 2026-12-01T18:00Z, or a span from now such as 30m, 2h or 1d."
        ) from None


def _announce(submitted: "Submitted", tenant: str, *, as_json: bool, wait: bool) -> None:
    which = "job_id" if submitted.job_id is not None else "batch_id"
    its_id = submitted.job_id or submitted.batch_id
    if as_json:
        said = {which: its_id, "task": submitted.task, "total": submitted.total, "repeated": submitted.repeated}
        if submitted.batch_id is not None:
            said["resumed_lines"] = submitted.resumed_lines
        print_json(said)
        return
    again = " (submitted before with this key)" if submitted.repeated else ""
    for_tenant = "" if tenant == DEFAULT_TENANT else f" --tenant {tenant}"
    if submitted.job_id is not None:
        print_line(f"job {its_id}{again}")
        next_steps = [f"assay show {its_id}{for_tenant}"]
    else:
        jobs = "1 job" if submitted.total == 1 else f"{submitted.total:,} jobs"
        there = f" ({submitted.resumed_lines:,} lines were there already)" if submitted.resumed_lines else ""
        print_line(f"batch {its_id}: {jobs}{again}{there}")
        next_steps = [f"assay watch {its_id}{for_tenant}", f"assay results {its_id}{for_tenant}"]
    if not wait:
        print_line(f"next: {'   '.join(next_steps)}")


def _wait(service: Service, submitted: "Submitted", *, as_json: bool) -> None:
    from cli.show import print_view, raise_if_failed
    from cli.watch import wait_for_batch, wait_for_job

    if submitted.batch_id is not None:
        wait_for_batch(service, submitted.batch_id, as_json=as_json)
        return
    assert submitted.job_id is not None
    view = wait_for_job(service, submitted.job_id)
    print_view(view, as_json=as_json)
    raise_if_failed(view)
