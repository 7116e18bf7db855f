"""The command line over the API: what it prints is what it prints over the database."""

import json
import re
import subprocess

import pytest

from jobs.tenancy import create_key, revoke_key
from schemas.access import Role
from stack.ports import free_port
from storage.database import Database
from tests.api_world import texts
from tests.house import LABELS, Assay, House, Workers

pytestmark = pytest.mark.usefixtures("clean")
LABEL = [word for label in LABELS for word in ("--label", label)]
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


@pytest.fixture
def both(assay: Assay, database: Database, tenant: str, port: int) -> tuple[Assay, Assay]:
    """The command over the database, and over the API with a key alone: it knows no database."""
    _, key = create_key(database, tenant, "cli", Role.PRODUCER.value)
    here = {
        "ASSAY_URL": f"http://127.0.0.1:{port}",
        "ASSAY_API_KEY": key,
        "DATABASE_URL": "",
        "ASSAY_HOME": "/nonexistent",
    }

    def over_database(*words: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[str]":
        return assay(*words, "--tenant", tenant, stdin=stdin)

    def over_http(*words: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[str]":
        return assay(*words, stdin=stdin, **here)

    return over_database, over_http


def said(done: "subprocess.CompletedProcess[str]") -> tuple[int, str, str]:
    """Exit code and output, ids and the tenant's option blotted out."""
    plain = re.sub(r" --tenant t[0-9a-f]+", "", done.stdout)
    return done.returncode, ID.sub("ID", plain), ID.sub("ID", done.stderr)


def test_a_round_trip_reads_the_same(workers: Workers, both: tuple[Assay, Assay]) -> None:
    """Submit, wait, show, a batch, results, cancel and retry print the same both ways and end with the same exit code."""
    workers.start(1)
    batch = b"\n".join(texts(3))
    transcripts = []
    for run in both:
        one = run("submit", "classify", "-", *LABEL, "--wait", "--json", stdin=b"charged twice")
        job_id = json.loads(one.stdout)["job_id"]
        many = run("submit", "classify", "--jsonl", "-", *LABEL, "--deadline", "2h", "--priority", "high", stdin=batch)
        found = ID.search(many.stdout)
        assert found, many
        batch_id = found[0]
        watched = run("watch", batch_id)
        assert watched.returncode == 0, watched
        steps = [
            one, many, run("show", job_id), run("results", batch_id), run("cancel", job_id), run("cancel", batch_id),
            run("retry", batch_id, "--json"), run("results", batch_id, "--json"),
        ]  # fmt: skip
        transcripts.append([said(step) for step in steps])
    assert transcripts[0] == transcripts[1]
    assert [code for code, _, _ in transcripts[0]] == [0] * 8


def test_refusals_read_the_same(both: tuple[Assay, Assay]) -> None:
    """A wrong field, a wrong line, an unknown id, a key used for another input: the same sentences and exit codes."""
    transcripts = []
    for run in both:
        keyed = ["--idempotency-key", "k-" + ("d" if run is both[0] else "h")]
        assert run("submit", "classify", "-", *LABEL, *keyed, stdin=b"one").returncode == 0
        nobody = "01a20000-0000-7000-8000-000000000000"
        steps = [
            run("submit", "classify", "-", *LABEL, *keyed, stdin=b"two"),
            run("submit", "classify", "-", "--label", "only-one", stdin=b"x"),
            run("submit", "classify", "--jsonl", "-", *LABEL, stdin=b'{"text": "x"}\nnonsense\n{"text": 5}\n'),
            run("submit", "classify", "--jsonl", "-", *LABEL, stdin=b"\n"),
            run("submit", "classify", "-", *LABEL, "--prompt", "v99", stdin=b"x"),
            run("show", nobody), run("results", nobody), run("watch", nobody), run("cancel", nobody), run("retry", nobody),
        ]  # fmt: skip
        transcripts.append([said(step) for step in steps])
    blot = re.compile(r"k-[dh]")
    plain = [[(code, out, blot.sub("K", err)) for code, out, err in each] for each in transcripts]
    assert plain[0] == plain[1]
    assert {code for code, _, _ in plain[0]} == {2}


def test_an_upload_repeats_over_either_way(both: tuple[Assay, Assay]) -> None:
    """What was submitted over the database with a key is the same batch over the API."""
    batch = b"\n".join(texts(5))
    words = ["submit", "classify", "--jsonl", "-", *LABEL, "--idempotency-key", "night", "--json"]
    first, second = (json.loads(run(*words, stdin=batch).stdout) for run in both)
    assert (first["repeated"], second["repeated"]) == (False, True)
    assert first["batch_id"] == second["batch_id"]


def test_what_keeps_it_from_the_api_is_said(
    assay: Assay, house: House, database: Database, tenant: str, port: int
) -> None:
    """No key, a revoked key, a reviewer's key, a tenant beside a key, nobody at the address, somebody else there."""
    url = f"http://127.0.0.1:{port}"
    revoked_id, revoked = create_key(database, tenant, "k", "producer")
    revoke_key(database, revoked_id)
    _, reviewer = create_key(database, tenant, "k", "reviewer")
    _, good = create_key(database, tenant, "k", "producer")
    nobody = "01a20000-0000-7000-8000-000000000000"
    cases: list[tuple[dict[str, str], list[str], int, str]] = [
        ({"ASSAY_URL": url}, [], 2, "ASSAY_API_KEY is not"),
        ({"ASSAY_URL": url, "ASSAY_API_KEY": revoked}, [], 2, "no valid key"),
        ({"ASSAY_URL": url, "ASSAY_API_KEY": reviewer}, [], 2, f"There is no job {nobody}"),
        ({"ASSAY_URL": url, "ASSAY_API_KEY": good}, ["--tenant", tenant], 2, "the key decides"),
        ({"ASSAY_URL": f"http://127.0.0.1:{free_port()}", "ASSAY_API_KEY": good}, [], 1, "does not answer"),
        ({"ASSAY_URL": house.provider.url, "ASSAY_API_KEY": good}, [], 1, "is ASSAY_URL Assay's?"),
    ]
    for environment, words, code, sentence in cases:
        done = assay("show", nobody, *words, **environment)
        assert (done.returncode, sentence in done.stderr) == (code, True), done
