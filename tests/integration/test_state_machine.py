"""The life of a job as a state machine: whatever happens in whatever order, nothing is lost or done twice, and all jobs land.

Random interleavings (hypothesis) of everything that workers, dispatchers, sweepers, producers and reviewers do, with messages
lost and delivered twice, leases that run out and twins that come late: on the real database, through the functions that the
processes use. After every step the rows are compared with a model (``state_model``) and held to laws that do not know the
model (``state_world``); at the end every job must land by the ordinary turns alone.

``make test`` plays the same 40 lives of 30 steps each time. ``ASSAY_TEST_EXAMPLES=2000 pytest <this file>`` plays so many,
others each time; a failure prints the steps that lead to it.
"""

import os
from typing import Any, cast

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import event

from storage import leases
from storage.database import Database
from tests.house import House, settings_of
from tests.integration.state_ends import LONG
from tests.integration.state_life import Life
from tests.integration.state_world import World

pytestmark = pytest.mark.usefixtures("clean")

_ASKED = os.environ.get("ASSAY_TEST_EXAMPLES")
PLAYED = settings(
    max_examples=int(_ASKED or 40), stateful_step_count=30, derandomize=_ASKED is None, database=None, deadline=None
)


@pytest.fixture
def life(house: House, database: Database) -> type[Life]:
    """Makes a life that begins in an empty database."""
    periods = settings_of(
        house, lease_seconds=LONG, heartbeat_seconds=LONG / 6, published_seconds=LONG, job_seconds=LONG, duty_seconds=LONG,
        sweep_seconds=1,
    )  # fmt: skip

    def not_to_disk(connection: Any, _: object) -> None:
        connection.execute("SET synchronous_commit = off")
        connection.commit()

    event.listen(database.engine, "connect", not_to_disk)
    return cast("type[Life]", lambda: Life(World(house, database), periods))  # it is only called


def test_no_interleaving_loses_or_doubles_a_job(life: type[Life]) -> None:
    """Claims, heartbeats, lost and late messages, losses, conclusions, reviews, cancellations, retries and late twins in any
    order: each takes effect exactly when it may, history never changes, and every job lands."""
    run_state_machine_as_test(life, settings=PLAYED)


def test_a_machine_without_the_fence_check_is_caught(life: type[Life], monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: were an answer written without naming the fence, it would find the twin that does so."""
    monkeypatch.setattr(leases, "_ANSWERED", leases._ANSWERED.replace(" AND fence = %(fence)s", ""))
    with pytest.raises(AssertionError, match="took effect that must not"):
        run_state_machine_as_test(life, settings=settings(PLAYED, max_examples=500, phases=[Phase.generate]))
