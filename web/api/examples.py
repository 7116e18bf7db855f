"""Examples of every operation, as the OpenAPI document shows them and as the tests send them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from web.bodies import shown
from web.replies import dump

JOB = "0195f3a0-6c1e-7b52-9d0e-2f6a1c8b4e10"
_BATCH = "0195f3a1-0d44-7f0a-8c3b-5b7e9a2d6c01"
AT = "2026-11-22T09:15:00Z"
CURSOR = "aQGV86BsHntSnQ4vahyLThA"

INVOICE_TEXT = "I was charged twice in March. Please send one of the two amounts back."
CLASSIFY_INPUT = {"text": INVOICE_TEXT, "labels": ["billing", "shipping", "other"]}
SUBMISSIONS: dict[str, tuple[str, object]] = {
    "classify": ("Which label fits", {"task": "classify", "input": CLASSIFY_INPUT}),
    "summarize": (
        "A short summary, within half an hour",
        {
            "task": "summarize",
            "input": {"text": "The meeting agreed on the budget. The move to Leeds waits until May.", "max_words": 30},
            "options": {"deadline": "PT30M", "priority": "high"},
        },
    ),
    "extract": (
        "Fields of an invoice; a person where the model cannot",
        {
            "task": "extract",
            "input": {
                "text": "Invoice 4711 of 3 May 2026. Total: 89.90 EUR.",
                "schema": {
                    "type": "object",
                    "properties": {"number": {"type": "string"}, "total": {"type": "number"}},
                    "required": ["number"],
                },
            },
            "options": {"fallback": "person"},
        },
    ),
}
LINES = '{"id": "T-1", "text": "I was charged twice in March."}\n{"id": "T-2", "text": "Where is my parcel?"}\n'
"""The body of an upload whose ``defaults`` hold the labels."""
DEFAULTS = '{"labels": ["billing", "shipping", "other"]}'

QUEUED = {
    "job_id": JOB, "batch_id": None, "line": None, "reference": None, "task": "classify", "state": "queued",
    "answered_by": None, "answer": None, "failure": None,
}  # fmt: skip
ANSWERED = {
    **QUEUED,
    "batch_id": _BATCH,
    "line": 1,
    "reference": "T-1",
    "state": "answered",
    "answered_by": "model",
    "answer": {
        "outcome": "classification",
        "labels": ["billing"],
        "confidence": 0.93,
        "evidence": "charged twice in March",
    },
}
CANCELLED = {
    **QUEUED,
    "state": "cancelled",
    "failure": {"reason": "cancelled", "detail": "cancelled by the producer", "retry_after": None},
}
_SUMMARY = {name: value for name, value in ANSWERED.items() if name != "answer"} | {
    "created_at": AT,
    "finished_at": "2026-11-22T09:15:02Z",
}
JOB_PAGE = {"jobs": [_SUMMARY], "next": CURSOR}
TASKS = {
    "tasks": [
        {
            "task": "classify",
            "about": "Choose the labels that fit a text",
            "prompt_versions": ["v1"],
            "contract": {"title": "classify", "type": "object", "properties": {"request": {}, "answer": {}}},
        }
    ]
}
SUBMITTED_BATCH = {"batch_id": _BATCH, "task": "classify", "total": 2, "repeated": False, "resumed_lines": 0}
REPEATED_BATCH = {**SUBMITTED_BATCH, "repeated": True}
BATCH_PAGE = {
    "batches": [{"batch_id": _BATCH, "task": "classify", "total": 2, "created_at": AT, "received_at": AT}],
    "next": CURSOR,
}
BATCH = {
    "batch_id": _BATCH, "task": "classify", "state": "running", "total": 2, "landed": 1,
    "states": {"answered": 1, "running": 1}, "answered_by": {"model": 1}, "input_tokens": 412, "output_tokens": 38,
    "attempts": 1, "repairs": 0, "cost_usd": "0.00006020",
}  # fmt: skip
BATCH_CANCELLED = {"batch_id": _BATCH, "cancelled": 1, "upload_dropped": False}
BATCH_RETRIED = {"batch_id": _BATCH, "retried": 3}
WEBHOOKS: dict[str, tuple[str, object]] = {
    "finished": (
        "Told when a batch has finished",
        {"url": "https://hooks.example.com/assay", "events": ["batch.finished"]},
    )
}
WEBHOOK = {
    "webhook_id": "0195f3a2-77b0-7d15-a1c4-90e3f6b2d8aa", "url": "https://hooks.example.com/assay",
    "events": ["batch.finished"], "created_at": AT, "created_by": "key:shop", "failing_since": None, "disabled_at": None,
    "disabled_reason": None,
}  # fmt: skip
NEW_WEBHOOK = {**WEBHOOK, "secret": "whsec_bm90IGEgc2VjcmV0OiBvbmx5IGFuIGV4YW1wbGU="}
WEBHOOK_LIST = {"webhooks": [WEBHOOK]}
DELIVERY = {
    "delivery_id": "5f0c4c52-3a8e-4a55-9c1b-0d6f5b1f7a21", "event": "batch.finished",
    "data": {"batch_id": _BATCH, "task": "classify", "total": 2}, "created_at": AT, "state": "pending", "tries": 0,
    "next_at": AT, "settled_at": None, "status": None, "detail": None,
}  # fmt: skip
DELIVERIES = {"deliveries": [DELIVERY]}


def answers(
    status: int, about: str, model: type[BaseModel], example: object, *, location: bool = False, link: bool = False
) -> dict[int | str, dict[str, Any]]:
    """An answer as one of a route's ``responses``.

    Args:
        location: it has the header ``Location``.
        link: it has the header ``Link`` where another page follows.
    """
    headers: dict[str, Any] = {}
    if location:
        headers["Location"] = {"description": "Where it is found from now on.", "schema": {"type": "string"}}
    if link:
        headers["Link"] = {"description": "The next page (RFC 8288), where there is one.", "schema": {"type": "string"}}
    found: dict[str, Any] = {
        "description": about,
        "model": model,
        "content": {"application/json": {"examples": shown({"example": (about, example)})}},
    }
    return {status: {**found, "headers": headers} if headers else found}


def takes_lines(types: Sequence[str]) -> dict[str, Any]:
    """``openapi_extra`` of a route that takes JSONL."""
    content = {
        "schema": {"type": "string", "description": "A JSON object a line, UTF-8."},
        "examples": shown({"two": ("Two documents, with ids of your own", LINES)}),
    }
    return {"requestBody": {"required": True, "content": dict.fromkeys(types, content)}}


def lines_out(media_type: str, model: type[BaseModel], example: Mapping[str, Any]) -> dict[int | str, dict[str, Any]]:
    """A stream of lines as one of a route's ``responses``."""
    about = f"A line for each job: {model.__name__} as JSON."
    content = {"schema": {"type": "string", "description": about}, "examples": shown({"example": (about, "")})}
    content["examples"]["example"]["value"] = dump(dict(example)).decode() + "\n"
    return {200: {"description": about, "content": {media_type: content}}}
