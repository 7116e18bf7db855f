"""The `assay` command against the whole embedded stack and a scripted provider, as a user runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import Settings
from stack.scripted import ScriptedProvider, plays
from stack.up import running

LABELS = ["--label", "billing", "--label", "shipping"]
MARK = "zanzibar"
NO_ID = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"


class Assay:
    """Runs the command in processes of its own, with nothing but ASSAY_HOME to find the stack by."""

    def __init__(self, home: Path, provider: ScriptedProvider) -> None:
        self.provider = provider
        self.environment = {**os.environ, "ASSAY_HOME": str(home)}

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """The command, finished."""
        command = [sys.executable, "-c", "from cli.main import main; main()", *arguments]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, env=self.environment, check=False, timeout=120
        )

    def json(self, *arguments: str, stdin: str = "") -> Any:
        """What the command prints with ``--json``; it must be done without a word on standard error."""
        done = self.run(*arguments, "--json", stdin=stdin)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def assay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assay]:
    """A running stack whose model is the scripted provider."""
    home = tmp_path_factory.mktemp("assay")
    with ScriptedProvider() as provider:
        settings = Settings.model_validate(
            {"home": home, "anthropic_base_url": provider.url, "anthropic_api_key": "scripted", "worker_slots": 4}
        )
        with running(settings, echo=lambda _line: None):
            yield Assay(home, provider)


def in_review(assay: Assay, tmp_path: Path) -> str:
    """A job that waits for a person, because the model refused it."""
    document = tmp_path / "refused.txt"
    document.write_text(f"{MARK}: my parcel has not come.\n")
    assay.provider.reset()
    assay.provider.play(plays.refusal(), contains=MARK)
    submitted = assay.run("submit", "classify", str(document), *LABELS, "--fallback", "person", "--wait", "--json")
    job = json.loads(submitted.stdout)
    assert submitted.returncode == 0
    assert (job["state"], job["failure"]["reason"]) == ("in_review", "refused")
    return str(job["job_id"])


def test_submit_watch_results(assay: Assay, tmp_path: Path) -> None:
    """A batch comes back as JSONL, a line per input line in input order, each with who answered."""
    tickets = [{"id": f"ticket-{number}", "text": f"Where is parcel {number}?"} for number in range(1, 13)]
    source = tmp_path / "tickets.jsonl"
    source.write_text("".join(json.dumps(ticket) + "\n" for ticket in tickets))
    batch = assay.json("submit", "classify", "--jsonl", str(source), *LABELS)
    assert batch["total"] == 12

    watched = assay.run("watch", batch["batch_id"], "--json")
    steps = [json.loads(line) for line in watched.stdout.splitlines()]
    assert watched.returncode == 0
    assert steps[-1]["over"]
    assert steps[-1]["landed"] == 12

    out = tmp_path / "out.jsonl"
    assert assay.run("results", batch["batch_id"], "--out", str(out)).returncode == 0
    results = [json.loads(line) for line in out.read_text().splitlines()]
    assert out.read_text() == assay.run("results", batch["batch_id"]).stdout
    assert [(one["line"], one["reference"]) for one in results] == [(n, f"ticket-{n}") for n in range(1, 13)]
    assert {(one["state"], one["answered_by"]) for one in results} == {("answered", "model")}
    assert all(one["answer"]["labels"][0] in {"billing", "shipping"} for one in results)

    costs = assay.json("costs", "--batch", batch["batch_id"], "--by", "model")
    assert costs["total"]["calls"] == 12
    assert costs["total"]["usd"] is not None
    assert "12/12" in assay.run("watch", batch["batch_id"]).stdout


def test_a_document_from_standard_input_is_answered_at_once(assay: Assay) -> None:
    """`submit - --wait` prints the job with its answer; the same key and input again is the same job."""
    asked = ("submit", "summarize", "-", "--max-words", "40", "--idempotency-key", "once", "--wait")
    job = assay.json(*asked, stdin="The bridge was closed on Monday. It opens again in May.")
    assert (job["state"], job["answered_by"], job["answer"]["outcome"]) == ("answered", "model", "summary")
    again = assay.json(*asked, stdin="The bridge was closed on Monday. It opens again in May.")
    assert again["job_id"] == job["job_id"]
    other = assay.run(*asked, stdin="Another text.")
    assert other.returncode == 2
    assert "was used for job" in other.stderr


def test_work_that_failed_is_exit_code_1(assay: Assay, tmp_path: Path) -> None:
    """With `--fallback fail` a refusal ends the job; the failure is shown and said."""
    document = tmp_path / "doc.txt"
    document.write_text(f"{MARK} nobody stands in")
    assay.provider.reset()
    assay.provider.play(plays.refusal(), contains=MARK)
    done = assay.run("submit", "summarize", str(document), "--fallback", "fail", "--wait", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["state"] == "failed"
    assert "has failed" in done.stderr


def test_audit_tells_the_whole_story(assay: Assay, tmp_path: Path) -> None:
    """Both calls of a repaired job stand there: prompt, parameters, verbatim responses, why the first was not accepted."""
    document = tmp_path / "doc.txt"
    document.write_text(f"{MARK} needs a repair. The invoice is wrong.")
    assay.provider.reset()
    assay.provider.play(plays.wrong_schema(), plays.answer(), contains=MARK)
    job = assay.json("submit", "classify", str(document), *LABELS, "--wait")
    story = assay.json("audit", "show", job["job_id"])
    first, repair = story["attempts"]
    assert (first["purpose"], first["outcome"], first["failure_reason"]) == ("first", "rejected", "schema_violation")
    assert (repair["purpose"], repair["outcome"]) == ("repair", "accepted")
    assert MARK in first["request"]["messages"][0]["content"]
    assert first["prompt_version"] == "v1"
    assert '"result"' in json.dumps(first["response"]).replace("\\", "")
    assert repair["input_tokens"] > 0
    assert story["answer"] == job["answer"]
    told = assay.run("audit", "show", job["job_id"]).stdout
    for piece in (
        "=== request",
        "=== attempt 1: first, rejected",
        "=== attempt 2: repair, accepted",
        "=== answer",
        MARK,
    ):
        assert piece in told


def test_a_person_decides_under_the_same_contract(assay: Assay, tmp_path: Path) -> None:
    """A decision without a claim, and one whose quote is not in the document, are refused; a good one answers the job."""
    job_id = in_review(assay, tmp_path)
    assert job_id in assay.run("review", "list").stdout.replace("\n", "")
    unclaimed = assay.run("review", "decide", job_id, "reject", "--as", "ada")
    assert unclaimed.returncode == 2
    assert "nobody holds it; claim it first" in unclaimed.stderr

    claimed = assay.json("review", "claim", job_id, "--as", "ada")
    assert MARK in claimed["request"]["text"]
    assert assay.run("review", "claim", job_id, "--as", "bob").returncode == 1

    answer = {"outcome": "classification", "labels": ["shipping"], "evidence": "these words are not there"}
    refused = assay.run("review", "decide", job_id, "edit", "--answer", "-", "--as", "ada", stdin=json.dumps(answer))
    assert refused.returncode == 2
    assert "evidence: does not stand in the document" in refused.stderr

    answer["evidence"] = "my parcel has not come"
    decided = assay.json("review", "decide", job_id, "edit", "--answer", "-", "--as", "ada", stdin=json.dumps(answer))
    assert (decided["state"], decided["reviewer"]) == ("answered", "ada")
    assert assay.json("show", job_id)["answered_by"] == "person"
    assert assay.json("audit", "show", job_id)["review"]["decided_by"] == "ada"


def test_a_bad_line_refuses_the_whole_batch(assay: Assay, tmp_path: Path) -> None:
    """Line 7 of 10 is broken: it is named, and nothing was accepted."""
    lines = ['{"text": "fine"}'] * 10
    lines[6] = '{"text": nope}'
    source = tmp_path / "bad.jsonl"
    source.write_text("\n".join(lines))
    before = assay.json("costs")["total"]["calls"]
    done = assay.run("submit", "classify", "--jsonl", str(source), *LABELS)
    assert done.returncode == 2
    assert "line 7: is not JSON" in done.stderr
    assert "nothing was submitted" in done.stderr
    assert assay.json("costs")["total"]["calls"] == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", NO_ID], "There is no job"),
        (["watch", NO_ID], "There is no batch"),
        (["results", NO_ID], "There is no batch"),
        (["show", NO_ID, "--tenant", "nobody"], "there is no tenant 'nobody'"),
        (["submit", "summarize", "-"], "holds a NUL character"),
    ],
)
def test_what_does_not_exist_is_wrong_usage(assay: Assay, arguments: list[str], sentence: str) -> None:
    """Exit code 2 and one sentence."""
    done = assay.run(*arguments, stdin="a\x00b")
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_tenants_do_not_see_each_other_and_keys_are_shown_once(assay: Assay) -> None:
    """Another tenant's job does not exist for this one; a key appears when it is made and never again."""
    assay.json("tenants", "create", "acme")
    job = assay.json("submit", "summarize", "-", "--tenant", "acme", "--wait", stdin="The lift is broken again.")
    assert assay.run("show", job["job_id"]).returncode == 2
    assert assay.json("show", job["job_id"], "--tenant", "acme")["state"] == "answered"
    made = assay.json("keys", "create", "--tenant", "acme", "--role", "reviewer")
    listed = assay.run("keys", "list", "--tenant", "acme", "--json").stdout
    assert made["key_id"] in listed
    assert made["api_key"] not in listed
    assert assay.json("keys", "revoke", made["key_id"])["revoked"]


def test_doctor_finds_every_part(assay: Assay) -> None:
    """It names the parts of the stack that runs in ASSAY_HOME, and where they are."""
    parts = {part["name"]: part for part in json.loads(assay.run("doctor", "--json").stdout)["parts"]}
    assert {name for name, part in parts.items() if part["state"] == "ok"} >= {
        "database", "broker", "workers", "beat", "web", "flower",
    }  # fmt: skip
    assert parts["flower"]["url"].startswith("http://operator:***@127.0.0.1:")
    assert parts["web"]["url"].startswith("http://127.0.0.1:")


def test_a_reader_that_leaves_early_is_no_traceback(assay: Assay) -> None:
    """`assay ... | head` ends quietly."""
    command = f"{sys.executable} -c 'from cli.main import main; main()' prompts show classify | head -c 1"
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, env=assay.environment, check=False, timeout=60
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
