"""What holds for all rule-based stand-ins and any text: valid output, verbatim quotes, bounds, no surprise."""

import json
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fallbacks.classify import classify
from fallbacks.extract import extract
from fallbacks.sentences import sentences
from fallbacks.summarize import summarize
from fallbacks.words import word_count
from schemas.classify import ClassifyRequest
from schemas.extract import ExtractRequest
from schemas.summarize import SummarizeRequest
from schemas.text import not_blank, storable
from tasks.classify import task as classify_task
from tasks.extract import task as extract_task
from tasks.summarize import task as summarize_task

NAUGHTY = [
    json.loads(line)["text"]
    for line in (Path(__file__).parents[2] / "data/blns/blns.jsonl").read_text(encoding="utf-8").splitlines()
]
PIECES = [
    "Total: 1.234,56 €", "Invoice No. A/12", "12.03.2021", "due 5 May 2020", "a@example.com", "+49 30 1234567", "Ann: ",
    "The pump failed on Monday.", "\n", "\n\n", "  ", "\t", "> ", "# ", "- ", "| a | b |", "退款。", "مرحبا؟", "ß", "İ",
    "e\u0301", "👨\u200d👩\u200d👧", "\u202e", "\ufeff", "www.x.com", "IBAN DE89 3704 0044 0532 0130 00", "Order ID: 7", "$5",
    "5 mája 2020", "12 Main St, Springfield, IL 62701", "1,000.00", "-3.50 USD", "Straße", "shall", "\x85", "\u2028",
]  # fmt: skip
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string"},
        "total": {"type": "number"},
        "count": {"type": "integer"},
        "date": {"type": "string", "format": "date"},
        "due_date": {"type": "string"},
        "currency": {"type": "string", "enum": ["EUR", "USD"]},
        "status": {"type": "string", "enum": ["open", "total"]},
        "emails": {"type": "array", "items": {"type": "string", "format": "email"}, "maxItems": 2},
        "seller": {"type": "object", "properties": {"name": {"type": "string"}, "address": {"type": "string"}}},
        "phone": {"type": "string"},
        "website": {"type": "string", "format": "uri"},
        "iban": {"type": "string"},
        "vat_number": {"type": "string"},
    },
}
LABELS: list[dict[str, Any]] = [
    {"name": "pump", "keywords": ["failed", "退款", "straße", "$5", "café"], "description": "a broken machine"},
    {"name": "order_total", "examples": ["invoice total order id 7", "main street"]},
    {"name": "other"},
]


def _accepted(text: str) -> bool:
    try:
        not_blank(storable(text))
    except ValueError:
        return False
    return True


texts = st.one_of(
    st.text(min_size=1, max_size=300),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), min_size=1, max_size=40).map("".join),
    st.lists(st.sampled_from(NAUGHTY), min_size=1, max_size=5).map("\n".join),
).filter(_accepted)


@settings(max_examples=150, deadline=None)
@given(texts, st.one_of(st.none(), st.integers(10, 60)), st.booleans())
@example("$", None, False)
@example("1" * 1500, 10, False)
@example("水12345678901234567890" * 40, 10, True)
@example("Total: " + "1" * 490 + "2,50 EUR 5.00", None, False)
def test_any_text_gives_a_valid_verbatim_repeatable_answer_or_none(
    text: str, max_words: int | None, multi: bool
) -> None:
    """Whatever the text: the task's own check accepts the output, quotes are substrings, twice the same, within bounds."""
    asked = SummarizeRequest(text=text, max_words=max_words)
    summary = summarize(asked)
    assert summary == summarize(asked)
    if summary is not None:
        assert summarize_task.check(asked, summary.model_dump()) == summary
        assert all(point.quote in text for point in summary.key_points)
        assert max_words is None or word_count(summary.summary) <= max_words

    labelling = ClassifyRequest.model_validate({"text": text, "labels": LABELS, "multi": multi})
    classified = classify(labelling)
    assert classified == classify(labelling)
    if classified is not None:
        assert classify_task.check(labelling, classified.model_dump()) == classified
        assert classified.evidence in text

    for schema in (SCHEMA, "invoice", "contact"):
        reading = ExtractRequest(text=text, fields_schema=schema)
        extracted = extract(reading)
        assert extracted == extract(reading)
        if extracted is not None:
            assert extract_task.check(reading, extracted.model_dump()) == extracted
            assert all(quote in text for _, quote in reading.compiled.quotes(extracted.fields))


@settings(max_examples=150, deadline=None)
@given(texts)
def test_sentences_are_places_of_the_text_in_order(text: str) -> None:
    """Sentences never overlap, never hold outer white space, and each is what stands at its place."""
    end = 0
    for sentence in sentences(text):
        assert sentence.start >= end
        assert text[sentence.start : sentence.end] == sentence.text == sentence.text.strip()
        end = sentence.end


def test_naughty_strings_do_no_harm() -> None:
    """Every naughty string alone passes through all three stand-ins."""
    for text in filter(_accepted, NAUGHTY):
        summarize(SummarizeRequest(text=text))
        classify(ClassifyRequest.model_validate({"text": text, "labels": LABELS}))
        extract(ExtractRequest(text=text, fields_schema=SCHEMA))


def test_a_million_characters_are_within_bounds() -> None:
    """The longest texts, without line ends and with nothing but line ends, are answered validly."""
    for text in ("Order ID 7 total 1.00 EUR " * 38_461, "a\n" * 500_000, "水" * 1_000_000):
        summary = summarize(SummarizeRequest(text=text))
        assert summary is not None
        classify(ClassifyRequest.model_validate({"text": text, "labels": LABELS}))
        extract(ExtractRequest(text=text, fields_schema=SCHEMA))
