"""What Schemathesis is helped with: ids that exist, inputs that a task takes, and the key of the role that a route is for.

Choices follow from what was generated, so that a case is the same each time it is run.
"""

import json
import os
import zlib
from typing import Any
from uuid import UUID

import schemathesis

from web.api import examples

IDS: dict[str, list[str]] = json.loads(os.environ["ASSAY_FUZZ_IDS"])
"""By the name of the path's parameter."""
PRODUCER_KEY = os.environ["ASSAY_FUZZ_PRODUCER"]
REVIEWER_KEY = os.environ["ASSAY_FUZZ_REVIEWER"]
_REVIEWS, _SECOND = "/v1/reviews", "/v1/reviews/second"
_INPUTS = {name: body["input"] for name, (_, body) in examples.SUBMISSIONS.items() if isinstance(body, dict)}


def _one_in(times: int, value: object) -> bool:
    return zlib.crc32(repr(value).encode("utf-8", "replace")) % times == 0


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    """An id that exists, two times in three."""
    if not isinstance(path_parameters, dict) or _one_in(3, path_parameters):
        return path_parameters
    number = zlib.crc32(repr(path_parameters).encode("utf-8", "replace"))
    found = {}
    for name, value in path_parameters.items():
        known = IDS.get(_jobs_of(context.operation.path) if name == "job_id" else name)
        found[name] = known[number % len(known)] if known else value
    return found


def _jobs_of(path: str) -> str:
    """Which of the jobs a path is for."""
    if path.startswith(_SECOND):
        return "second_review_id"
    return "review_id" if path.startswith(_REVIEWS) else "job_id"


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    """An input that its task takes, every other time: else nothing behind the first check is ever reached."""
    if isinstance(body, dict) and body.get("task") in _INPUTS and _one_in(2, body):
        return {**body, "input": _INPUTS[body["task"]]}
    if isinstance(body, str) and _one_in(2, body):
        return examples.LINES
    return body


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Reviews are the reviewers'. And the events of a job that Schemathesis has made itself would not end: nobody works on it."""
    key = REVIEWER_KEY if case.operation.path.startswith(_REVIEWS) else PRODUCER_KEY
    case.headers = {**(case.headers or {}), "Authorization": f"Bearer {key}"}
    if case.operation.path.endswith("/events"):
        case.path_parameters = {
            name: IDS[name][0] if _is_id(value) else value for name, value in case.path_parameters.items()
        }


@schemathesis.serializer("application/jsonl", "application/x-ndjson")
def lines(_context: Any, value: Any) -> bytes:
    """A body that is text already."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def _is_id(value: object) -> bool:
    try:
        UUID(str(value))
    except ValueError:
        return False
    return True
