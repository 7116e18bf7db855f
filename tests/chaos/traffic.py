"""The jobs of a scenario: batches of two tenants, every text with a name of its own."""

from dataclasses import dataclass

from jobs.tenancy import create_tenant
from schemas.ids import new_id
from storage.database import Database
from tests.house import House, submit_texts

TASK = "classify"
TENANTS = 2


@dataclass(frozen=True)
class Traffic:
    """What is submitted."""

    jobs: int

    def submit(self, house: House) -> None:
        """Submit three batches: two of the first tenant, one of the second between them."""
        database = Database(house.app_url)
        try:
            tenants = [f"t{number}{new_id().hex[-10:]}" for number in range(TENANTS)]
            for tenant in tenants:
                create_tenant(database, tenant, "of one scenario")
            third = self.jobs // 3
            for tenant, count in ((tenants[0], third), (tenants[1], third), (tenants[0], self.jobs - 2 * third)):
                name = new_id().hex[-6:]
                submit_texts(database, tenant, (_text(f"{tenant} {name} {line}") for line in range(count)), task=TASK)
        finally:
            database.close()


def _text(name: str) -> str:
    """The part up to the colon is found in no other text."""
    return f"Letter {name}: the parcel has not arrived, and the invoice has."
