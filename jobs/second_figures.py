"""How often a second person agrees with what the model answered, by task."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.review import Verdict
from storage import second_reviews
from storage.database import Database


@dataclass(frozen=True)
class TaskAgreement:
    """How often the second person agrees with the model.

    Attributes:
        rate: the share of answers that is drawn now.
        waiting, third_waiting: not looked at yet; waiting to be judged.
        reviewed, agreed: second opinions, and those in which nothing differs.
        fields, equal_fields: of all second opinions together.
        verdicts: of those that a third person judged.
    """

    tenant_id: str
    task: str
    rate: float
    waiting: int
    reviewed: int
    agreed: int
    fields: int
    equal_fields: int
    third_waiting: int
    verdicts: dict[Verdict, int]

    @property
    def share(self) -> float | None:
        """The share that agrees, 0 to 1; None where nothing was looked at."""
        return self.agreed / self.reviewed if self.reviewed else None

    @property
    def field_share(self) -> float | None:
        """The share of fields that agree."""
        return self.equal_fields / self.fields if self.fields else None


def agreement(database: Database, tenants: Sequence[str]) -> list[TaskAgreement]:
    """How often second opinions agree, by tenant and task; tasks with a rate are there even before the first."""
    found: list[TaskAgreement] = []
    for tenant in tenants:
        with database.tenant(tenant) as connection:
            rows = second_reviews.figures(connection)
        for row in rows:
            verdicts = {verdict: row.pop(verdict.value) for verdict in Verdict}
            found.append(TaskAgreement(tenant_id=tenant, verdicts=verdicts, **row))
    return found
