"""A person's turn from the terminal, over the API and over the database: it reads the same."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs import review
from jobs.review_queue import QueueLine, queue
from jobs.tenancy import create_key, create_tenant
from schemas.access import Role
from schemas.failure import FailureReason
from schemas.ids import new_id
from storage.database import Database
from tests.house import Assay, House
from tests.integration.review_scenes import GOOD, OTHER, in_review

pytestmark = pytest.mark.usefixtures("clean")
NOBODY = "01a20000-0000-7000-8000-000000000000"
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
ANN = "key:ann"
"""As the audit names the holder of a key; a name like another over the database."""

Said = tuple[int, str, str]


@dataclass(frozen=True)
class Way:
    """One of the two, with a tenant of its own.

    Attributes:
        whose: options that name tenant and reviewer, where no key does.
    """

    assay: Assay
    tenant: str
    whose: list[str]

    def __call__(self, *words: str) -> Said:
        """What a command of ann's says and ends with; ids and moments blotted out."""
        return self._said(*words, *self.whose)

    def look(self, *words: str) -> Said:
        """The same for a command that knows no reviewer."""
        return self._said(*words, *self.whose[:2])

    def _said(self, *words: str) -> Said:
        done = self.assay("review", *words)
        return done.returncode, MOMENT.sub("MOMENT", ID.sub("ID", done.stdout)), ID.sub("ID", done.stderr)


@pytest.fixture
def both(assay: Assay, database: Database, tenant: str, port: int) -> tuple[Way, Way]:
    """Over the database, and over the API with a key alone: it knows no database."""
    other = f"t{new_id().hex[-12:]}"
    create_tenant(database, other, "another")
    key = create_key(database, other, "ann", Role.REVIEWER.value)[1]

    def over_http(*words: str) -> "subprocess.CompletedProcess[str]":
        known = {"ASSAY_URL": f"http://127.0.0.1:{port}", "ASSAY_API_KEY": key}
        return assay(*words, **known, DATABASE_URL="", ASSAY_HOME="/nonexistent")

    return Way(assay, tenant, ["--tenant", tenant, "--as", ANN]), Way(over_http, other, [])


def test_looking_and_claiming_read_the_same(both: tuple[Way, Way], database: Database) -> None:
    """The list, its parts and its JSON, a claim of the next, of one of a reason, of this one and of one that somebody holds."""
    transcripts = []
    for way in both:
        empty = [way.look("list"), way.look("list", "--json"), way("claim"), way("claim", "--json")]
        jobs = [
            in_review(database, way.tenant, text="Zażółć gęślą\x1b[2J. Please refund the invoice.") for _ in range(3)
        ]
        in_review(database, way.tenant, None, reason=FailureReason.TRUNCATED)
        assert review.claim(database, way.tenant, "bob", 60, job_id=jobs[2]) is not None
        steps = [
            way.look("list"), way.look("list", "--json"), way.look("list", "--limit", "2"),
            way.look("list", "--reason", "truncated", "--task", "classify"), way.look("list", "--task", "extract"),
            way("claim"), way("claim", str(jobs[1])), way("claim", "--reason", "refused", "--json"),
            way("claim", str(jobs[2])), way("claim", NOBODY), way("release", str(jobs[0])),
            way("release", str(jobs[1]), "--json"), way.look("list", "--json"),
        ]  # fmt: skip
        transcripts.append(empty + steps)
    assert transcripts[0] == transcripts[1]
    assert [code for code, _, _ in transcripts[0]] == [0] * 12 + [1, 1] + [0] * 3
    assert "held by         key:ann" in transcripts[0][9][1]
    assert "bob" in transcripts[0][4][1]


def test_a_long_list_comes_in_pages_and_reads_the_same(both: tuple[Way, Way], database: Database, house: House) -> None:
    """More than a page of the API holds: each once, in the same order, and no more than asked for."""
    lists = []
    for way in both:
        in_review(database, way.tenant)
        house.run(
            "INSERT INTO jobs (id, tenant_id, task, state, fallback) SELECT gen_random_uuid(),"
            f" '{way.tenant}', 'classify', 'in_review', 'person' FROM generate_series(1, 449)"
        )
        house.run(
            "INSERT INTO reviews (job_id, tenant_id, task, reason, detail) SELECT id, tenant_id, task, 'refused', 'd' FROM jobs"
            f" WHERE tenant_id = '{way.tenant}' AND id NOT IN (SELECT job_id FROM reviews)"
        )
        found = json.loads(way.assay("review", "list", "--limit", "430", "--json", *way.whose[:2]).stdout)
        every = json.loads(way.assay("review", "list", "--limit", "1000", "--json", *way.whose[:2]).stdout)
        assert [one["job_id"] for one in every[:430]] == [one["job_id"] for one in found]
        lists.append((len(found), len(every), len({one["job_id"] for one in every})))
    assert lists == [(430, 450, 450)] * 2


def test_deciding_reads_the_same(both: tuple[Way, Way], database: Database, tmp_path: Path) -> None:
    """Each decision, with its JSON; an answer that breaks the contract, in every field; what one does not hold, what is
    decided, what nobody knows."""
    right, wrong, broken = tmp_path / "right.json", tmp_path / "wrong.json", tmp_path / "broken.json"
    right.write_text(json.dumps(GOOD))
    wrong.write_text(json.dumps({**GOOD, "labels": ["billing", "unheard of"], "evidence": "not in there"}))
    broken.write_text(json.dumps({"outcome": "classification", "mood": "good"}))
    transcripts = []
    for way in both:
        first, second, third, fourth, bare = [
            str(in_review(database, way.tenant, suggestion)) for suggestion in (OTHER, OTHER, OTHER, OTHER, None)
        ]
        held = [way("claim", job) for job in (first, second, third, bare)]
        steps = [
            way("decide", first, "accept"), way("decide", first, "accept"), way("decide", bare, "accept"),
            way("decide", second, "edit", "--answer", str(wrong)), way("decide", second, "edit", "--answer", str(broken)),
            way("decide", second, "edit", "--answer", str(right), "--json"),
            way("decide", third, "not-applicable", "--reason", "a poem", "--note", "really"),
            way("decide", bare, "reject", "--json"), way("decide", fourth, "accept"), way("decide", NOBODY, "reject"),
            way("release", fourth), way("release", NOBODY), way("claim", first), way("decide", fourth, "edit"),
        ]  # fmt: skip
        assert review.claim(database, way.tenant, "bob", 60, job_id=None) is not None
        steps += [way("decide", fourth, "reject"), way("release", fourth)]
        transcripts.append(held + steps)
    assert transcripts[0] == transcripts[1]
    codes = [code for code, _, _ in transcripts[0]]
    assert codes == [0] * 5 + [2] * 4 + [0] * 3 + [2] * 4 + [1, 2] + [2, 2]


def test_clusters_and_bulk_accept_read_the_same(both: tuple[Way, Way], database: Database) -> None:
    """None, some and their JSON; part of a cluster, the rest, one that nobody knows."""
    transcripts = []
    for way in both:
        empty = [way.look("clusters"), way.look("clusters", "--json")]
        for _ in range(5):
            in_review(database, way.tenant)
        for _ in range(2):
            in_review(database, way.tenant, OTHER)
        largest, smaller = json.loads(way.assay("review", "clusters", "--json", *way.whose[:2]).stdout)
        steps = [
            way.look("clusters"), way.look("clusters", "--json"), way.look("clusters", "--reason", "truncated"),
            way("bulk-accept", "zz"), way("bulk-accept", largest["cluster"][:12], "--task", "extract"),
            way("bulk-accept", largest["cluster"][:12], "--limit", "2", "--note", "alike"),
            way("bulk-accept", largest["cluster"]), way("bulk-accept", smaller["cluster"][:8], "--json"),
            way.look("clusters"),
        ]  # fmt: skip
        transcripts.append(empty + steps)
    assert transcripts[0] == transcripts[1]
    assert [code for code, _, _ in transcripts[0]] == [0] * 5 + [2, 2] + [0] * 4
    assert transcripts[0][7][1] == f"2 jobs answered by {ANN}; 3 left\n"


def test_what_keeps_a_reviewer_from_the_api_is_said(assay: Assay, database: Database, tenant: str, port: int) -> None:
    """A producer's key, whatever is asked; a name or a tenant beside a key; no key."""
    url = f"http://127.0.0.1:{port}"
    job = str(in_review(database, tenant))
    producer, reviewer = (create_key(database, tenant, "k", role)[1] for role in ("producer", "reviewer"))
    as_producer, as_reviewer = {"ASSAY_API_KEY": producer}, {"ASSAY_API_KEY": reviewer}
    cases: list[tuple[dict[str, str], list[str], str]] = [
        (as_reviewer, ["list", "--tenant", tenant], "the key decides whose data"),
        (as_reviewer, ["claim", "--as", "ann"], "the key says who reviews: leave --as out"),
        (as_reviewer, ["bulk-accept", "ab", "--as", "ann"], "the key says who reviews"),
        (as_reviewer, ["decide", job, "reject", "--as", ""], "--as is empty"),
        ({}, ["list"], "ASSAY_API_KEY is not"),
    ]
    for words in (
        ["list"], ["claim"], ["claim", job], ["release", job], ["decide", job, "reject"], ["clusters"], ["bulk-accept", "ab"],
    ):  # fmt: skip
        cases.append((as_producer, words, "opens no reviews: use a key made with `assay keys create --role reviewer`"))
    for environment, words, sentence in cases:
        done = assay("review", *words, ASSAY_URL=url, **environment)
        code, out, err = done.returncode, done.stdout, done.stderr
        assert (code, out, sentence in err, err.count("\n")) == (2, "", True, 1), (words, err)
    assert [one.held for one in review_lines(database, tenant)] == [False]


def review_lines(database: Database, tenant: str) -> list[QueueLine]:
    """What waits."""
    return queue(database, [tenant]).lines
