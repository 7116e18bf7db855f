"""`assay review`: the queue, skips, clusters and second looks from the terminal, as programs see them."""

import json
from typing import Any

import pytest

from jobs import review_upkeep, show
from schemas.failure import FailureReason
from storage.database import Database
from tests.house import House, run_assay
from tests.integration.review_scenes import OTHER, SUGGESTED, TEXT, answered, in_review

pytestmark = pytest.mark.usefixtures("clean")


def assay(house: House, tenant: str, *arguments: str) -> Any:
    """What a command prints as JSON."""
    done = run_assay(house, "review", *arguments, "--tenant", tenant, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(house: House, tenant: str, *arguments: str) -> str:
    """The one sentence of a command that is refused as wrong usage."""
    done = run_assay(house, "review", *arguments, "--tenant", tenant)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    return done.stderr


def test_list_claim_and_release(house: House, database: Database, tenant: str) -> None:
    """A reason limits the list and the claim; what is released is free, and not the next one of who released it."""
    in_review(database, tenant)
    truncated = in_review(database, tenant, reason=FailureReason.TRUNCATED)
    assert len(assay(house, tenant, "list")) == 2
    (listed,) = assay(house, tenant, "list", "--reason", "truncated", "--task", "classify")
    assert (listed["job_id"], listed["priority"], listed["held"]) == (str(truncated), "normal", False)
    claimed = assay(house, tenant, "claim", "--reason", "truncated", "--as", "ann")
    assert (claimed["job_id"], claimed["request"]["text"]) == (str(truncated), TEXT)
    assert "ann holds it" in refused(house, tenant, "release", str(truncated), "--as", "bob")
    assay(house, tenant, "release", str(truncated), "--as", "ann")
    assert assay(house, tenant, "claim", "--reason", "truncated", "--as", "ann") is None
    assert assay(house, tenant, "claim", "--reason", "truncated", "--as", "bob")["reviewer"] == "bob"
    assert "'soon' is no reason; use one of" in refused(house, tenant, "list", "--reason", "soon")


def test_clusters_and_bulk_accept(house: House, database: Database, tenant: str) -> None:
    """The beginning of a cluster's digest names it; its jobs are answered at once."""
    jobs = [in_review(database, tenant) for _ in range(3)]
    in_review(database, tenant, OTHER)
    (cluster,) = assay(house, tenant, "clusters")
    assert (cluster["waiting"], cluster["suggestion"]) == (3, SUGGESTED)
    assert "There is no cluster 'zz'" in refused(house, tenant, "bulk-accept", "zz")
    done = assay(house, tenant, "bulk-accept", cluster["cluster"][:12], "--as", "ann", "--limit", "2")
    assert (len(done["accepted"]), done["left"]) == (2, 1)
    states = sorted(show.show(database, tenant, job_id).state.value for job_id in jobs)
    assert states == ["answered", "answered", "in_review"]
    assert "No two reviews" in run_assay(house, "review", "clusters", "--tenant", tenant).stdout


def test_rate_and_agreement(house: House, database: Database, tenant: str) -> None:
    """A rate that is set is shown, and from then on answers are drawn and counted."""
    assert assay(house, tenant, "rate") == []
    (rate,) = assay(house, tenant, "rate", "classify", "1", "--stakes", "3")
    assert (rate["task"], rate["rate"], rate["stakes"]) == ("classify", 1, 3)
    answered(database, tenant)
    assert review_upkeep.sample_answers(database, lag_seconds=0) == 1
    (figures,) = assay(house, tenant, "agreement")
    assert (figures["task"], figures["waiting"], figures["reviewed"], figures["share"]) == ("classify", 1, 0, None)
    for arguments, sentence in (
        (["rate", "classify"], "Give a task and its rate"),
        (["rate", "--stakes", "3"], "--stakes belongs to a task"),
        (["rate", "classify", "2"], "2 is no share; give 0 to 1"),
        (["rate", "translate", "0.1"], "There is no task 'translate'"),
    ):
        assert sentence in refused(house, tenant, *arguments)
