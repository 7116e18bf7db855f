"""`assay audit show`: everything recorded about a job."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from cli.connect import check_tenant, connected_database
from cli.costs import dollars
from cli.options import DEFAULT_TENANT, AsJson, JobId, Tenant, read_id
from cli.output import as_json as json_text
from cli.output import print_fields, print_json, print_line

if TYPE_CHECKING:
    from jobs.show import Story

audit_app = typer.Typer(no_args_is_help=True, help="What was asked, sent, received, decided and paid.")


@audit_app.command("show")
def audit_show(job: JobId, tenant: Tenant = DEFAULT_TENANT, as_json: AsJson = False) -> None:
    """Tell a job's whole story: the request, every call in full, what came back, and who decided."""
    job_id = read_id(job, "job")
    with connected_database() as connection:
        from jobs.show import story

        check_tenant(connection, tenant)
        told = story(connection.database, tenant, job_id)
    if as_json:
        print_json(as_dict(told))
    else:
        print_story(told)


@audit_app.callback()
def _group() -> None:
    """A group of its own, though it has one command so far."""


def as_dict(told: "Story") -> dict[str, Any]:
    """The story for programs."""
    job = told.job
    return {
        "job_id": job["id"],
        "batch_id": job["batch_id"],
        "line": job["line"],
        "task": job["task"],
        "state": job["state"],
        "answered_by": job["answered_by"],
        "answer": told.answer,
        "failure": _failure(job),
        "job": job,
        "request": told.request,
        "attempts": told.attempts,
        "events": told.events,
        "review": told.review,
    }


def print_story(told: "Story") -> None:
    """The story for people, in the order in which things happened."""
    _print_head(told.job)
    _heading("request")
    print_line(json_text(told.request, indent=2))
    for attempt in told.attempts:
        _print_attempt(attempt)
    if told.events:
        _heading("events")
        for event in told.events:
            detail = f": {event['detail']}" if event["detail"] else ""
            print_line(
                f"{event['at'].isoformat(sep=' ', timespec='milliseconds')}  {event['kind']} by {event['actor']}{detail}"
            )
    if told.review is not None:
        _print_review(told.review)
    _heading("answer")
    print_line(f"by {told.job['answered_by']}" if told.job["answered_by"] else "none")
    if told.answer is not None:
        print_line(json_text(told.answer, indent=2))


def _print_head(job: dict[str, Any]) -> None:
    names = [
        "id", "batch_id", "line", "reference", "task", "state", "answered_by", "fallback", "prompt_version", "native",
        "tries", "waits", "fence", "created_at", "deadline", "started_at", "finished_at",
    ]  # fmt: skip
    shown = [("job" if name == "id" else name.replace("_", " "), job[name]) for name in names]
    print_fields([*shown, ("why not the model", _reason(job))])


def _print_attempt(attempt: dict[str, Any]) -> None:
    _heading(f"attempt {attempt['number']}: {attempt['purpose']}, {attempt['outcome']}")
    request = attempt["request"]
    print_fields(
        [
            ("model", attempt["model"]),
            ("answered by model", attempt["answered_model"]),
            ("tier", attempt["tier"]),
            ("prompt", f"{attempt['prompt_version']} (sha256 {attempt['prompt_digest']})"),
            ("max tokens", request.get("max_tokens")),
            ("parameters", json_text(request["parameters"]) if request.get("parameters") else None),
            ("by", attempt["actor"]),
            ("sent", attempt["opened_at"]),
            ("settled", attempt["settled_at"]),
            ("seconds", None if attempt["seconds"] is None else f"{attempt['seconds']:.3f}"),
            ("request id", attempt["request_id"]),
            ("http status", attempt["http_status"]),
            ("stop reason", attempt["stop_reason"]),
            ("tokens", _tokens(attempt)),
            ("cost", _cost(attempt)),
            ("why not accepted", _reason(attempt)),
        ]
    )
    print_line(f"\n--- system\n{request.get('system', '')}")
    for message in request.get("messages", []):
        print_line(f"\n--- {message['role']}\n{_content(message['content'])}")
    if request.get("output_schema"):
        print_line(f"\n--- output schema\n{json_text(request['output_schema'])}")
    print_line("\n--- response, verbatim")
    print_line("none was recorded" if attempt["response"] is None else json_text(attempt["response"], indent=2))


def _print_review(review: dict[str, Any]) -> None:
    _heading("review")
    print_fields(
        [
            ("why", f"{review['reason']}: {review['detail']}"),
            ("since", review["created_at"]),
            ("held by", review["reviewer"]),
            ("until", review["lease_until"]),
            ("decision", review["decision"]),
            ("decided by", review["decided_by"]),
            ("decided at", review["decided_at"]),
            ("note", review["note"]),
        ]
    )
    if review["suggestion"] is not None:
        print_line(f"suggestion of the rules\n{json_text(review['suggestion'], indent=2)}")


def _heading(text: str) -> None:
    print_line(f"\n=== {text}")


def _content(content: object) -> str:
    return content if isinstance(content, str) else json_text(content, indent=2)


def _reason(row: dict[str, Any]) -> str | None:
    failure = _failure(row)
    return None if failure is None else ": ".join(part for part in failure.values() if part)


def _failure(row: dict[str, Any]) -> dict[str, str | None] | None:
    if row["failure_reason"] is None:
        return None
    return {"reason": row["failure_reason"], "detail": row["failure_detail"]}


def _tokens(attempt: dict[str, Any]) -> str | None:
    if attempt["output_tokens"] is None:
        return None
    cached: Iterable[tuple[str, int]] = (
        ("read from the cache", attempt["cache_read_tokens"]),
        ("written to the cache", attempt["cache_write_tokens"]),
    )
    extra = "".join(f", {count:,} {what}" for what, count in cached if count)
    return f"{attempt['input_tokens']:,} in, {attempt['output_tokens']:,} out{extra}"


def _cost(attempt: dict[str, Any]) -> str | None:
    if attempt["outcome"] == "unknown":
        return "unknown: maybe billed"
    if attempt["output_tokens"] is None:
        return None
    return (
        f"{dollars(attempt['cost_usd'])} USD" if attempt["cost_usd"] is not None else "unknown: no price for this model"
    )
