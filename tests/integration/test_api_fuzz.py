"""Schemathesis: what the OpenAPI document says is so, whatever is sent. A short run; `make fuzz` sends 10,000 cases."""

from storage.database import Database
from tests.api_world import serving
from tests.fuzz.run import fuzz, prepare
from tests.house import House


def test_no_request_is_answered_by_a_mistake_or_by_what_is_not_documented(
    house: House, database: Database, clean: None
) -> None:
    """A few hundred cases over every operation, the same each time: no 5xx, no undocumented status, header or body."""
    stage = prepare(database)
    with serving(house) as port:
        found = fuzz(f"http://127.0.0.1:{port}", stage, each=5, seed=1)
    assert not found.failed, found.output
    assert found.cases >= 300
