"""Who asks: a key of a machine or a person, what they may do, and for which tenants."""

from enum import StrEnum
from uuid import UUID

from schemas.base import Contract


class Role(StrEnum):
    """What somebody may do."""

    PRODUCER = "producer"  # submit, follow and cancel
    REVIEWER = "reviewer"  # decide what waits for a person
    OPERATOR = "operator"  # see how it goes, and explain it


class Principal(Contract):
    """Whoever asks.

    Attributes:
        name: as the audit names it: ``key:<name>``, or the login of a person.
        tenants: whose rows it may see; a key has one.
        requests_per_minute: of a key that has a limit of its own.
    """

    name: str
    role: Role
    tenants: tuple[str, ...]
    key_id: UUID | None = None
    account_id: UUID | None = None
    requests_per_minute: int | None = None

    @property
    def id(self) -> UUID:
        """Of the key or the account."""
        found = self.key_id or self.account_id
        assert found is not None  # it has one of them
        return found
