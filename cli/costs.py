"""`assay costs`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.connect import check_tenant, connected_database
from cli.options import DEFAULT_TENANT, AsJson, Tenant, read_id
from cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from decimal import Decimal

    from jobs.costs import Spent


class By(StrEnum):
    """What is summed up together."""

    TASK = "task"
    MODEL = "model"
    DAY = "day"


def costs(
    batch: Annotated[str | None, typer.Option("--batch", metavar="BATCH", help="Only this batch.")] = None,
    by: Annotated[By, typer.Option("--by", help="What to sum up together; days are UTC.")] = By.TASK,
    days: Annotated[
        int, typer.Option("--days", metavar="N", min=1, max=36_500, help="Only the last N days; no limit for a batch.")
    ] = 30,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: AsJson = False,
) -> None:
    """Show what model calls used and cost."""
    batch_id = None if batch is None else read_id(batch, "batch")
    with connected_database() as connection:
        from jobs.costs import spending, together

        check_tenant(connection, tenant)
        rows = spending(
            connection.database, tenant, by=by.value, batch_id=batch_id, days=days if batch_id is None else None
        )
        total = together(rows)
    if as_json:
        print_json({"by": by.value, "rows": rows, "total": total})
        return
    columns = [by.value, "calls", "tokens in", "tokens out", "USD", "unpriced", "maybe billed", "on their way"]
    print_table("", columns, [_cells(row) for row in [*rows, total]], right=7)
    if total.unpriced_calls:
        print_line("unpriced: calls of a model without a known price; USD does not hold them.")
    if total.maybe_billed_calls:
        print_line("maybe billed: calls whose reply was lost; only the provider's invoice knows.")


def dollars(usd: "Decimal | None") -> str:
    """A known amount, or the word."""
    return "unknown" if usd is None else f"{usd:.6f}"


def _cells(row: "Spent") -> list[object]:
    usd = "0" if row.usd is None and not row.unpriced_calls and not row.maybe_billed_calls else dollars(row.usd)
    return [
        row.name, row.calls, row.input_tokens, row.output_tokens, usd,
        row.unpriced_calls, row.maybe_billed_calls, row.open_calls,
    ]  # fmt: skip
