"""`assay review clusters` and `assay review bulk-accept`: equal suggestions, decided together."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.connect import Connection, check_tenant, connected_database
from cli.errors import wrong_usage
from cli.options import DEFAULT_TENANT, AsJson, Tenant
from cli.output import as_json as json_text
from cli.output import print_json, print_line, print_table
from cli.reviewers import ReasonOption, Reviewer, TaskOption, part_of_queue, reviewer_name

if TYPE_CHECKING:
    from jobs.review_bulk import Cluster
    from schemas.review import QueueFilter

SHOWN_DIGITS = 12
MOST_LISTED = 1000


def clusters(
    task: TaskOption = None, reason: ReasonOption = None, tenant: Tenant = DEFAULT_TENANT, as_json: AsJson = False
) -> None:
    """List reviews with the same task, reason and suggestion, the largest clusters first."""
    only = part_of_queue(task, reason)
    with connected_database() as connection:
        check_tenant(connection, tenant)
        found = _found(connection, tenant, only)
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
    name = reviewer_name(reviewer)
    with connected_database() as connection:
        from jobs.review_bulk import accept_cluster

        check_tenant(connection, tenant)
        chosen = _chosen(_found(connection, tenant, only), cluster)
        done = accept_cluster(
            connection.database, tenant, name,
            task=chosen.task, reason=chosen.reason, cluster=chosen.cluster, limit=limit, grace_seconds=0, note=note,
        )  # fmt: skip
    if as_json:
        print_json({"accepted": done.accepted, "refused": done.refused, "left": done.left, "reviewer": name})
        return
    refused = f"; {done.refused} suggestions do not hold for their document" if done.refused else ""
    print_line(f"{len(done.accepted)} jobs answered by {name}{refused}; {done.left} left")


def _found(connection: Connection, tenant: str, only: "QueueFilter") -> "list[Cluster]":
    from jobs.review_bulk import clusters as find

    return find(connection.database, [tenant], only, limit=MOST_LISTED)


def _chosen(found: "list[Cluster]", digits: str) -> "Cluster":
    """The one cluster that is meant: one suggestion may be there for several reasons."""
    meant = [one for one in found if digits and one.cluster.startswith(digits)]
    if not meant:
        raise wrong_usage(f"There is no cluster {digits!r} of two or more; see `assay review clusters`.")
    if len(meant) > 1:
        raise wrong_usage(f"{len(meant)} clusters begin with {digits!r}; give more of it, or --task and --reason.")
    return meant[0]
