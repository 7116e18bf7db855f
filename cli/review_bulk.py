"""`assay review clusters` and `assay review bulk-accept`: equal suggestions, decided together."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import wrong_usage
from cli.options import DEFAULT_TENANT, AsJson, Tenant
from cli.output import as_json as json_text
from cli.output import print_json, print_line, print_table
from cli.review_service import connected_reviews
from cli.reviewers import ReasonOption, Reviewer, TaskOption, part_of_queue

if TYPE_CHECKING:
    from schemas.desk import ReviewCluster

SHOWN_DIGITS = 12


def clusters(
    task: TaskOption = None, reason: ReasonOption = None, tenant: Tenant = DEFAULT_TENANT, as_json: AsJson = False
) -> None:
    """List reviews with the same task, reason and suggestion, the largest clusters first."""
    only = part_of_queue(task, reason)
    with connected_reviews(tenant) as service:
        found = service.clusters(only)
    if as_json:
        print_json(found)
    elif not found:
        print_line("No two reviews have the same task, reason and suggestion.")
    else:
        rows = [
            (one.cluster[:SHOWN_DIGITS], one.task, one.reason, json_text(one.suggestion)[:200], one.waiting)
            for one in found
        ]
        print_table("", ["cluster", "task", "why", "suggestion", "waiting"], rows, right=1)


def bulk_accept(
    cluster: Annotated[
        str, typer.Argument(metavar="CLUSTER", show_default=False, help="As `assay review clusters` shows it.")
    ],
    task: TaskOption = None,
    reason: ReasonOption = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=200, help="At most so many.")] = 200,
    note: Annotated[str | None, typer.Option("--note", help="A remark for the record.")] = None,
    reviewer: Reviewer = None,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: AsJson = False,
) -> None:
    """Accept the suggestion of a whole cluster, each job with its own line in the audit. It takes effect at once."""
    only = part_of_queue(task, reason)
    with connected_reviews(tenant, reviewer) as service:
        done = service.accept(_chosen(service.clusters(only), cluster), limit, note)
    if as_json:
        print_json(done)
        return
    refused = f"; {done.refused} suggestions do not hold for their document" if done.refused else ""
    print_line(f"{len(done.accepted)} jobs answered by {done.reviewer}{refused}; {done.left} left")


def _chosen(found: "list[ReviewCluster]", digits: str) -> "ReviewCluster":
    """The one cluster that is meant: one suggestion may be there for several reasons."""
    meant = [one for one in found if digits and one.cluster.startswith(digits)]
    if not meant:
        raise wrong_usage(f"There is no cluster {digits!r} of two or more; see `assay review clusters`.")
    if len(meant) > 1:
        raise wrong_usage(f"{len(meant)} clusters begin with {digits!r}; give more of it, or --task and --reason.")
    return meant[0]
