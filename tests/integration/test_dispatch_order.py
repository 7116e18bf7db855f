"""In which order jobs go out, as the database gives them."""

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from jobs import submit
from jobs.tenancy import create_tenant
from schemas.job import JobOptions
from storage import fairness
from storage.database import Database
from tasks import catalogue
from tests.house import House, RecordingPublisher, one_round, publish_all

pytestmark = pytest.mark.usefixtures("clean")

REQUESTS: dict[str, dict[str, Any]] = {
    "classify": {"text": "charged twice", "labels": ["billing", "other"]},
    "summarize": {"text": "The parcel was due on Tuesday. It waits in Rotterdam."},
}


def submitted(database: Database, tenant: str, *, hours: int | None = None, task: str = "classify") -> UUID:
    """A job with so many hours until its deadline."""
    options = JobOptions(deadline=None if hours is None else timedelta(hours=hours))
    job_id = submit.submit_one(database, tenant, task, REQUESTS[task], options).job_id
    assert job_id is not None
    return job_id


def test_a_tenants_jobs_go_by_deadline_and_then_by_age(database: Database, tenant: str) -> None:
    """Those without a deadline last, and whatever their task: the tasks are merged, not one after the other."""
    oldest = submitted(database, tenant)
    newest = submitted(database, tenant, task="summarize")
    later = submitted(database, tenant, hours=9, task="summarize")
    sooner = submitted(database, tenant, hours=1)
    soon = submitted(database, tenant, hours=2, task="summarize")
    with database.system() as connection:
        firsts = fairness.first_jobs(connection, 0, {tenant: 10}, list(catalogue()))
        two = fairness.first_jobs(connection, 0, {tenant: 2}, list(catalogue()))
    assert [first.job_id for first in firsts] == [sooner, soon, later, oldest, newest]
    assert [first.job_id for first in two] == [sooner, soon]


def test_a_deadline_is_no_way_past_another_tenant(database: Database, tenant: str) -> None:
    """Deadlines order a tenant's own jobs: who gives one to every job gets no more than its share of the window."""
    other = f"{tenant}-2"
    create_tenant(database, other, "another")
    for _ in range(70):
        submitted(database, tenant, hours=1)
        submitted(database, other)
    publisher = RecordingPublisher()
    assert one_round(database, publisher) == 100
    assert Counter(of for _, of, ids in publisher.messages for _ in ids) == {tenant: 50, other: 50}


def test_what_went_out_is_counted(house: House, database: Database, tenant: str) -> None:
    """The duty's row says how many jobs were dispatched, for those who ask whether it gets on."""
    before = house.query("SELECT done FROM duties WHERE name = 'dispatch'")[0][0]
    submitted(database, tenant)
    submitted(database, tenant)
    assert len(publish_all(database)) == 2
    assert house.query("SELECT done FROM duties WHERE name = 'dispatch'") == [(before + 2,)]
