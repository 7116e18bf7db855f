"""How many of a task's answers get a second look, and how much is at stake in it."""

from jobs.contract import check_tenant
from storage import review_rates
from storage.database import Database
from storage.review_rates import Rate
from tasks import find_task

HIGHEST_STAKES = 9


class RateRefused(ValueError):
    """The rate or the stakes are none; the message says why."""


def set_rate(database: Database, tenant_id: str, task: str, rate: float, *, stakes: int | None = None) -> None:
    """Let this share of the model's answers be looked at by a second person, from now on.

    Args:
        rate: 0 to 1.
        stakes: what an error of this task costs the tenant, 0 to 9: within a class of jobs the reviews of a task with more
            at stake come first. None leaves them.

    Raises:
        RateRefused: a figure is out of its range.
        UnknownTask: there is no such task.
    """
    find_task(task)
    if not 0 <= rate <= 1:
        raise RateRefused(f"{rate:g} is no share; give 0 to 1, such as 0.05 for one in twenty")
    if stakes is not None and not 0 <= stakes <= HIGHEST_STAKES:
        raise RateRefused(f"stakes of {stakes} are out of range; give 0 to {HIGHEST_STAKES}")
    with database.tenant(tenant_id) as connection:
        check_tenant(connection, tenant_id)
        review_rates.put(connection, tenant_id, task, rate, stakes)


def rates(database: Database, tenant_id: str) -> list[Rate]:
    """What holds for this tenant's tasks; a task that is not there has rate 0."""
    with database.tenant(tenant_id) as connection:
        return review_rates.of_tenant(connection)
