"""The review desk as it is met by people: reviews with a story, accounts, and the web served on a free port."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import uvicorn

from jobs import accounts, review_rates, review_upkeep, second_review, submit
from schemas.access import Role
from schemas.answer import AnsweredBy
from schemas.attempt import AttemptOutcome, Call, Purpose, Reply
from schemas.failure import Failure, FailureReason
from schemas.ids import new_id
from schemas.job import JobOptions
from schemas.review import Decision
from schemas.settings import Settings
from schemas.tier import Tier
from schemas.usage import Usage
from storage import attempts, leases
from storage.attempts import Settlement
from storage.database import Database
from tests.house import eventually
from web.app import make_app

PASSWORD = "a long and quiet word"
INVOICE = """\
Nordlicht Bürotechnik GmbH                                   Invoice
Hafenstraße 12, 20457 Hamburg                                No. 2026-10477
                                                             Date: 14 October 2026

Bill to: Alder & Sons, 4 Mill Lane, Bristol

  Qty   Description                       Unit price      Amount
    3   Desk lamp "Polaris", brushed           89.00      267.00
   12   Ink cartridge, black                   14.50      174.00
    1   Express delivery                       25.00       25.00

                                           Subtotal       466.00
                                           VAT 19 %        88.54
                                           Total EUR      554.54

Please pay within 30 days, by 13 November 2026, to
IBAN DE89 3704 0044 0532 0130 00. VAT ID: DE811907980.
"""
INVOICE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "invoice_number": {"type": "string", "description": "number of this invoice, not of the order"},
        "issue_date": {"type": "string", "format": "date"},
        "total": {"type": "number", "minimum": 0, "description": "final amount to pay, with tax"},
        "currency": {"type": "string", "enum": ["EUR", "GBP", "USD"]},
        "reverse_charge": {"type": "boolean", "description": "whether the buyer owes the tax"},
        "issuer": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "vat_id": {"type": "string"}},
            "required": ["name"],
        },
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"description": {"type": "string"}, "amount": {"type": "number"}},
                "required": ["description"],
            },
        },
    },
    "required": ["invoice_number", "total"],
}


def leaf(value: Any, quote: str) -> dict[str, Any]:
    """A found field."""
    return {"value": value, "quote": quote}


INVOICE_RULES: dict[str, Any] = {
    "outcome": "extraction",
    "fields": {
        "invoice_number": leaf("2026-10477", "No. 2026-10477"),
        "issue_date": leaf("2026-10-14", "14 October 2026"),
        "total": leaf(466, "466.00"),
        "currency": leaf("EUR", "Total EUR"),
        "reverse_charge": None,
        "issuer": {"name": leaf("Nordlicht Bürotechnik GmbH", "Nordlicht Bürotechnik GmbH"), "vat_id": None},
        "lines": [{"description": leaf("Ink cartridge, black", "Ink cartridge, black"), "amount": leaf(174, "174.00")}],
    },
    "not_found": ["reverse_charge", "issuer.vat_id"],
}
INVOICE_MODEL: dict[str, Any] = {
    "outcome": "extraction",
    "fields": {
        "invoice_number": leaf("2026-10477", "No. 2026-10477"),
        "issue_date": leaf("2026-10-14", "Date: 14 October 2026"),
        "total": leaf(554.54, "Total EUR 545.54"),
        "currency": leaf("EUR", "Total EUR"),
        "reverse_charge": None,
        "issuer": {
            "name": leaf("Nordlicht Bürotechnik GmbH", "Nordlicht Bürotechnik GmbH"),
            "vat_id": leaf("DE811907980", "VAT ID: DE811907980"),
        },
        "lines": [
            {"description": leaf('Desk lamp "Polaris", brushed', 'Desk lamp "Polaris", brushed'), "amount": leaf(267, "267.00")},
            {"description": leaf("Ink cartridge, black", "Ink cartridge, black"), "amount": leaf(174, "174.00")},
        ],
    },
}  # fmt: skip
LETTER = """\
Dear support,

I ordered two lamps on 3 October and one of them arrived broken. The parcel had been opened.
Please refund the invoice, or send a new lamp. My order number is 88-1312.

Kind regards,
P. Alder
"""
LETTER_LABELS = ["billing", "damaged goods", "shipping", "other"]


def ask(task: str, **more: Any) -> dict[str, Any]:
    """A request of a task."""
    known: dict[str, dict[str, Any]] = {
        "extract": {"text": INVOICE, "schema": INVOICE_SCHEMA},
        "classify": {"text": LETTER, "labels": LETTER_LABELS},
        "summarize": {"text": LETTER, "max_words": 60},
    }
    return {**known[task], **more}


def in_review(
    database: Database,
    tenant: str,
    task: str,
    request: dict[str, Any],
    *,
    rules: dict[str, Any] | None = None,
    model: dict[str, Any] | str | None = None,
    reason: FailureReason = FailureReason.UNGROUNDED,
    detail: str = "A quote does not stand in the document: fields.total.",
    options: JobOptions | None = None,
) -> UUID:
    """Bring a new job to a person.

    Args:
        model: what the model answered; a text is its whole reply.
    """
    submitted = submit.submit_one(database, tenant, task, request, options or JobOptions())
    assert submitted.job_id is not None
    failure = Failure(reason=reason, detail=detail)
    with database.tenant(tenant) as connection:
        claim = leases.claim(connection, submitted.job_id, new_id(), 30)
        assert claim is not None
        if model is not None:
            text = model if isinstance(model, str) else json.dumps({"answer": model})
            for number, purpose in enumerate((Purpose.FIRST, Purpose.REPAIR), start=1):
                attempts.open_next(connection, claim, number, _call(task, purpose), "test")
                attempts.settle(connection, claim, _rejected(number, text, failure))
        assert leases.conclude_in_review(connection, claim, failure, rules)
    return submitted.job_id


def an_invoice(database: Database, tenant: str, **more: Any) -> UUID:
    """An invoice in review, with both suggestions."""
    return in_review(database, tenant, "extract", ask("extract"), rules=INVOICE_RULES, model=INVOICE_MODEL, **more)


def a_letter(database: Database, tenant: str, evidence: str = "refund the invoice", **more: Any) -> UUID:
    """A letter to classify in review, with the suggestion of the rules."""
    rules = {"outcome": "classification", "labels": ["billing"], "evidence": evidence, "confidence": None}
    more = {"reason": FailureReason.REFUSED, "detail": "The model declined to answer.", **more}
    return in_review(database, tenant, "classify", ask("classify"), rules=rules, **more)


def to_second_review(database: Database, tenant: str, *, label: str, evidence: str, second: str | None = None) -> UUID:
    """A letter that the model classified so and that was drawn for a second look.

    Args:
        second: the label that a second person gave it already; it then waits to be judged.
    """
    review_rates.set_rate(database, tenant, "classify", 1)
    submitted = submit.submit_one(database, tenant, "classify", ask("classify"), JobOptions())
    assert submitted.job_id is not None
    output = {"outcome": "classification", "labels": [label], "evidence": evidence, "confidence": None}
    with database.tenant(tenant) as connection:
        claim = leases.claim(connection, submitted.job_id, new_id(), 30)
        assert claim is not None
        assert leases.conclude_answered(connection, claim, AnsweredBy.MODEL, output, attempt=None, failure=None)
    assert review_upkeep.sample_answers(database, lag_seconds=0) == 1
    if second is not None:
        item = second_review.claim(database, [tenant], "zoe", 60, job_id=submitted.job_id)
        assert item is not None
        answer = {"outcome": "classification", "labels": [second], "evidence": "one of them arrived broken"}
        second_review.decide(database, tenant, item.job_id, "zoe", Decision.EDIT, output=answer, fence=item.fence)
    return submitted.job_id


def a_reviewer(database: Database, *tenants: str, name: str = "ada", role: Role = Role.REVIEWER) -> str:
    """An account of these tenants; returns its login."""
    login = f"{name}-{new_id().hex[-8:]}"
    accounts.create_account(database, login, PASSWORD, role, list(tenants))
    return login


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The web, served for real on a free port; gives its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        port = listening.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(make_app(settings), log_level="warning", timeout_graceful_shutdown=1, lifespan="on")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        eventually(lambda: server.started or not thread.is_alive(), "the web is up")
        assert server.started, "the web has not started"
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()


def _call(task: str, purpose: Purpose) -> Call:
    return Call(
        task=task, purpose=purpose, prompt_version="v1", prompt_digest="d", tier=Tier.SMALL, model="claude-haiku-5-5",
        system="", messages=[], max_tokens=1024, parameters={}, output_schema={},
    )  # fmt: skip


def _rejected(number: int, text: str, failure: Failure) -> Settlement:
    reply = Reply(
        text=text, stop_reason="end_turn", model="claude-haiku-5-5", request_id=f"req_{number}",
        usage=Usage(input_tokens=1480, output_tokens=212), raw={"content": [{"type": "text", "text": text}]}, seconds=1.4,
    )  # fmt: skip
    return Settlement(number, AttemptOutcome.REJECTED, reply, failure=failure, cost_usd=Decimal("0.000254"))
