"""Costs: what was used, what it cost where that is known, and what may have been billed without our knowing."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from jobs.cancel import NotFound
from storage import batches, costs
from storage.costs import GroupBy
from storage.database import Database


@dataclass(frozen=True)
class Spent:
    """What a group of model calls used.

    Attributes:
        name: of the group: a task, a model id or a day (UTC).
        usd: US dollars of the calls with a known price; None where none has one.
        unpriced_calls: calls that were answered, but whose model has no known price.
        maybe_billed_calls: calls whose reply was lost: nobody here knows what they cost.
        open_calls: calls on their way.
    """

    name: str
    calls: int
    input_tokens: int
    output_tokens: int
    usd: Decimal | None
    unpriced_calls: int
    maybe_billed_calls: int
    open_calls: int


def spending(
    database: Database, tenant_id: str, *, by: GroupBy, batch_id: UUID | None = None, days: int | None = None
) -> list[Spent]:
    """A tenant's spending in groups, of one batch or of the last so many days.

    Raises:
        NotFound: this tenant has no such batch.
    """
    with database.tenant(tenant_id) as connection:
        if batch_id is not None and batches.find(connection, batch_id) is None:
            raise NotFound(f"There is no batch {batch_id}.")
        return [Spent(**row) for row in costs.spent(connection, by=by, batch_id=batch_id, days=days)]


def together(spent: list[Spent]) -> Spent:
    """The sum of all groups."""
    known = [one.usd for one in spent if one.usd is not None]
    return Spent(
        name="total",
        calls=sum(one.calls for one in spent),
        input_tokens=sum(one.input_tokens for one in spent),
        output_tokens=sum(one.output_tokens for one in spent),
        usd=sum(known, Decimal(0)) if known else None,
        unpriced_calls=sum(one.unpriced_calls for one in spent),
        maybe_billed_calls=sum(one.maybe_billed_calls for one in spent),
        open_calls=sum(one.open_calls for one in spent),
    )


def seconds_to_land(database: Database, tenant_id: str, batch_id: UUID) -> tuple[float | None, float | None]:
    """Median and 95th percentile of a batch's seconds from a job's first claim to its landing; None before one has."""
    with database.tenant(tenant_id) as connection:
        return costs.seconds_to_land(connection, batch_id)
