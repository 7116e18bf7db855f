"""One run of Schemathesis over every operation of the OpenAPI document, against a server that is up."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from jobs import webhooks
from jobs.cancel import cancel
from jobs.review_queue import queue
from jobs.submit import submit_batch, submit_one
from jobs.tenancy import create_key, create_tenant
from schemas.access import Role
from schemas.ids import new_id
from schemas.job import JobOptions
from schemas.webhook import WebhookEvent
from storage.database import Database
from tests.api_world import drawn, in_review

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method", "allow_header_conformance",
)  # fmt: skip
"""What the document says must be so. Who may do what is probed on every route by another test; and which of the generated
inputs a task takes, no schema tells (labels must be unlike each other, a text must hold something)."""
_CASES = re.compile(r"([\d,]+) generated")
A_FEW = 20
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Found:
    """What came of it.

    Attributes:
        failed: Schemathesis found something, or broke.
    """

    cases: int
    failed: bool
    output: str


@dataclass(frozen=True)
class Stage:
    """Who asks, and what there is to be asked for."""

    producer: str
    reviewer: str
    ids: dict[str, list[str]]


def prepare(database: Database) -> Stage:
    """A tenant with keys, and a few of everything. Jobs and batches are cancelled: the events of what is over end at once."""
    tenant = f"f{new_id().hex[-12:]}"
    create_tenant(database, tenant, "fuzzed")
    _, producer = create_key(database, tenant, "producer", Role.PRODUCER.value)
    _, reviewer = create_key(database, tenant, "reviewer", Role.REVIEWER.value)
    hooks = [
        webhooks.create(database, tenant, "https://hooks.invalid/", [WebhookEvent.JOB_FINISHED], actor="fuzz")
        for _ in range(A_FEW)
    ]
    job = submit_one(database, tenant, "summarize", {"text": "x"}, JobOptions()).job_id
    batch = submit_batch(database, tenant, "summarize", [b'{"text": "x"}'] * 3, {}, JobOptions()).batch_id
    assert job is not None
    assert batch is not None
    for which in (job, batch):
        cancel(database, tenant, which)
    told = webhooks.deliveries(database, tenant, hooks[-1].webhook_id)
    waiting = [in_review(database, tenant, f"text {number}") for number in range(A_FEW)]
    lines = queue(database, [tenant], limit=A_FEW).lines
    ids: dict[str, Sequence[UUID | str]] = {
        "job_id": [job],
        "batch_id": [batch],
        "review_id": waiting,
        "second_review_id": [drawn(database, tenant, f"text {number}") for number in range(A_FEW)],
        "cluster": [line.cluster for line in lines if line.cluster is not None],
        "webhook_id": [one.webhook_id for one in reversed(hooks)],
        "delivery_id": [one.delivery_id for one in told],
    }
    return Stage(producer, reviewer, {name: [str(one) for one in found] for name, found in ids.items()})


def fuzz(url: str, stage: Stage, *, each: int, seed: int) -> Found:
    """Run it.

    Args:
        each: cases that are made up for each operation; examples and boundary values come on top.
    """
    with tempfile.TemporaryDirectory() as work:
        done = subprocess.run(
            [
                sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()",
                "--config-file", str(_HERE / "schemathesis.toml"), "run", f"{url}/v1/openapi.json", "--no-color",
                "--phases", "examples,coverage,fuzzing", "--checks", ",".join(CHECKS),
                "--max-examples", str(each), "--seed", str(seed), "--generation-database", "none",
                "--suppress-health-check", "all", "--request-timeout", "30", "--continue-on-failure",
            ],
            env={
                **os.environ,
                "PYTHONPATH": str(_HERE.parents[1]),
                "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
                "ASSAY_FUZZ_IDS": json.dumps(stage.ids),
                "ASSAY_FUZZ_PRODUCER": stage.producer,
                "ASSAY_FUZZ_REVIEWER": stage.reviewer,
            },
            cwd=work,
            capture_output=True,
            check=False,
        )  # fmt: skip
    output = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    counted = _CASES.search(output)
    return Found(int(counted[1].replace(",", "")) if counted else 0, done.returncode != 0, output)
