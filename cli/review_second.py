"""`assay review rate` and `assay review agreement`: a second look at what the model answered."""

from typing import Annotated

import typer

from cli.connect import check_tenant, connected_database
from cli.errors import wrong_usage
from cli.options import DEFAULT_TENANT, AsJson, Tenant
from cli.output import print_json, print_line, print_table


def rate(
    task: Annotated[
        str | None, typer.Argument(metavar="[TASK]", show_default=False, help="Else all are shown.")
    ] = None,
    share: Annotated[
        float | None,
        typer.Argument(metavar="[RATE]", show_default=False, help="0 to 1, such as 0.05 for one in twenty."),
    ] = None,
    stakes: Annotated[
        int | None,
        typer.Option(
            "--stakes", metavar="N", min=0, max=9, help="What an error costs, 0 to 9: its reviews come earlier."
        ),
    ] = None,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: AsJson = False,
) -> None:
    """Show or set how many of the model's answers a second person looks at, from now on."""
    if (task is None) != (share is None):
        raise wrong_usage("Give a task and its rate, such as `assay review rate classify 0.05`, or neither.")
    if stakes is not None and task is None:
        raise wrong_usage("--stakes belongs to a task: give a task and its rate too.")
    with connected_database() as connection:
        from jobs.review_rates import rates, set_rate

        check_tenant(connection, tenant)
        if task is not None and share is not None:
            set_rate(connection.database, tenant, task, share, stakes=stakes)
        found = rates(connection.database, tenant)
    if as_json:
        print_json([one._asdict() for one in found])
    elif not found:
        print_line("No answer of the model is looked at a second time; `assay review rate TASK RATE` sets a share.")
    else:
        print_table(
            "",
            ["task", "since", "stakes", "rate"],
            [(o.task, o.since, o.stakes, f"{o.rate:.3g}") for o in found],
            right=2,
        )


def agreement(tenant: Tenant = DEFAULT_TENANT, as_json: AsJson = False) -> None:
    """Show how often a second person, who does not see it, gives the model's answer."""
    with connected_database() as connection:
        from jobs.second_figures import agreement as figures

        check_tenant(connection, tenant)
        found = figures(connection.database, [tenant])
    if as_json:
        print_json(
            [
                {
                    "task": one.task, "rate": one.rate, "waiting": one.waiting, "reviewed": one.reviewed,
                    "agreed": one.agreed, "share": one.share, "field_share": one.field_share,
                    "to_be_judged": one.third_waiting, "verdicts": {v.value: n for v, n in one.verdicts.items()},
                }
                for one in found
            ]
        )  # fmt: skip
        return
    if not found:
        print_line("Nothing is looked at a second time; `assay review rate TASK RATE` sets a share.")
        return
    rows = [
        (
            one.task, ", ".join(f"{v.value} {n}" for v, n in one.verdicts.items() if n) or None, f"{one.rate:.3g}",
            one.waiting, one.reviewed, _percent(one.share), _percent(one.field_share), one.third_waiting,
        )
        for one in found
    ]  # fmt: skip
    columns = ["task", "judged right", "rate", "waiting", "reviewed", "agree", "fields agree", "to be judged"]
    print_table("", columns, rows, right=6)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
