"""`assay review`: a person's turn, from the terminal."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import review_bulk, review_second
from cli.documents import read_json
from cli.errors import work_failed, wrong_usage
from cli.options import DEFAULT_TENANT, AsJson, JobId, Tenant, read_id
from cli.output import as_json as json_text
from cli.output import print_fields, print_json, print_line, print_table
from cli.review_service import connected_reviews
from cli.reviewers import ReasonOption, Reviewer, TaskOption, part_of_queue

if TYPE_CHECKING:
    from schemas.desk import HeldReview

review_app = typer.Typer(no_args_is_help=True, help="Jobs that wait for a person: list, claim, decide.")
review_app.command("clusters")(review_bulk.clusters)
review_app.command("bulk-accept")(review_bulk.bulk_accept)
review_app.command("rate")(review_second.rate)
review_app.command("agreement")(review_second.agreement)


class Choice(StrEnum):
    """What a person may decide."""

    ACCEPT = "accept"
    EDIT = "edit"
    NOT_APPLICABLE = "not-applicable"
    REJECT = "reject"


@review_app.command("list")
def list_reviews(
    task: TaskOption = None,
    reason: ReasonOption = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=10_000, help="At most so many.")] = 100,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: AsJson = False,
) -> None:
    """List what waits, the most valuable first: nearest deadline, then what is at stake, then age."""
    only = part_of_queue(task, reason)
    with connected_reviews(tenant) as service:
        waiting = service.waiting(only, limit)
    if as_json:
        print_json(waiting)
        return
    if not waiting:
        print_line("Nothing waits for a person.")
        return
    columns = ["job", "task", "why", "since", "held by"]
    rows = [
        (one.job_id, one.task, f"{one.reason}: {one.detail}"[:200], one.created_at, one.reviewer) for one in waiting
    ]
    print_table("", columns, rows)


@review_app.command("claim")
def claim(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", show_default=False, help="This one; else the most valuable.")
    ] = None,
    task: TaskOption = None,
    reason: ReasonOption = None,
    reviewer: Reviewer = None,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: AsJson = False,
) -> None:
    """Take a review for a while, and show all that is needed to decide it."""
    job_id = None if job is None else read_id(job, "job")
    if job_id is not None and (task or reason):
        raise wrong_usage("--task and --reason choose from the queue: give either a job or these.")
    only = part_of_queue(task, reason)
    with connected_reviews(tenant, reviewer) as service:
        item = service.claim_next(only) if job_id is None else service.claim(job_id)
    if item is None and job_id is not None:
        raise work_failed(f"There is nothing to claim of job {job_id}: it is not in review, or somebody else holds it.")
    if as_json:
        print_json(item)
    elif item is None:
        print_line("Nothing waits for a person.")
    else:
        _print_item(item)


@review_app.command("release")
def release(job: JobId, reviewer: Reviewer = None, tenant: Tenant = DEFAULT_TENANT, as_json: AsJson = False) -> None:
    """Give a review back undecided; for half an hour it is not your next one."""
    job_id = read_id(job, "job")
    with connected_reviews(tenant, reviewer) as service:
        back = service.release(job_id)
    if as_json:
        print_json({"job_id": job_id, "released_by": back.reviewer})
    else:
        print_line(f"review of job {job_id} released by {back.reviewer}")


@review_app.command("decide")
def decide(
    job: JobId,
    decision: Annotated[
        Choice, typer.Argument(metavar="DECISION", show_default=False, help="accept, edit, not-applicable or reject.")
    ],
    answer: Annotated[
        str | None, typer.Option("--answer", metavar="FILE|-", help="For edit: the answer, as the task's output JSON.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="For not-applicable: why the task does not apply.")
    ] = None,
    note: Annotated[str | None, typer.Option("--note", help="A remark for the record.")] = None,
    reviewer: Reviewer = None,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: AsJson = False,
) -> None:
    """Decide a review that you hold. The answer meets the same contract as a model's, or is refused."""
    job_id = read_id(job, "job")
    output = _answer_given(decision, answer, reason)
    with connected_reviews(tenant, reviewer) as service:
        from schemas.review import Decision

        done = service.decide(job_id, Decision(decision.value.replace("-", "_")), output, reason, note)
    if as_json:
        state = "failed" if done.answer is None else "answered"
        print_json(
            {
                "job_id": job_id, "decision": decision.value, "reviewer": done.reviewer, "state": state,
                "answer": done.answer,
            }
        )  # fmt: skip
    elif done.answer is None:
        print_line(f"job {job_id} rejected by {done.reviewer}: it has failed")
    else:
        print_line(f"job {job_id} answered by {done.reviewer}")


def _answer_given(decision: Choice, answer: str | None, reason: str | None) -> dict[str, Any] | None:
    """The answer of an edit; options that do not go with the decision are refused."""
    if answer is not None and decision is not Choice.EDIT:
        raise wrong_usage(f"--answer goes with edit, not with {decision.value}.")
    if reason is not None and decision is not Choice.NOT_APPLICABLE:
        raise wrong_usage(f"--reason goes with not-applicable, not with {decision.value}; use --note for a remark.")
    if decision is Choice.NOT_APPLICABLE and not reason:
        raise wrong_usage("Say why the task does not apply: --reason TEXT.")
    if decision is not Choice.EDIT:
        return None
    if answer is None:
        raise wrong_usage("Give the answer: --answer FILE, or --answer - for standard input.")
    value = read_json(answer, "--answer")
    if not isinstance(value, dict):
        raise wrong_usage("The answer must be a JSON object: the task's output.")
    return value


def _print_item(held: "HeldReview") -> None:
    print_fields(
        [
            ("job", held.job_id),
            ("task", held.task),
            ("why it is here", f"{held.reason}: {held.detail}"),
            ("held by", held.reviewer),
            ("until", held.lease_until),
        ]
    )
    asked = {name: value for name, value in held.request.items() if name != "text"}
    if asked:
        print_line(f"\nasked\n{json_text(asked, indent=2)}")
    print_line(f"\ndocument\n{held.request.get('text', '')}")
    if held.suggestion is not None:
        print_line(f"\nsuggestion of the rules\n{json_text(held.suggestion, indent=2)}")
    choices = "edit --answer FILE | not-applicable --reason TEXT | reject"
    choices = choices if held.suggestion is None else f"accept | {choices}"
    print_line(f"\nnext: assay review decide {held.job_id} {choices}")
