"""The local model's quotes are pieces of the document, because its grammar offers nothing else."""

import jsonschema_rs
import pytest

from stack.local_model.copying import MOST_PIECES, only_copies
from tasks import find_task
from tasks.grounding import locate
from tasks.prompt import fenced

TEXT = "The fee was charged twice. Please refund it!\n\nRegards\nAnn"
SCHEMA = find_task("classify").reply_schema(find_task("classify").read_request({"text": TEXT, "labels": ["a", "b"]}))


def turns(text: str) -> list[dict[str, str]]:
    """A conversation about a document."""
    return [{"role": "user", "content": f"{fenced(text)}\n\nClassify it."}]


def reply(evidence: str) -> dict[str, object]:
    """A model's reply with this quote."""
    return {"answer": {"outcome": "classification", "label": "a", "evidence": evidence}}


@pytest.mark.parametrize("piece", ["The fee was charged twice.", "Please refund it!", "Regards", "Ann"])
def test_sentences_and_lines_may_be_quoted(piece: str) -> None:
    """Each sentence and each line of the document is offered, and stands in it."""
    limited = only_copies(SCHEMA, turns(TEXT))
    assert jsonschema_rs.is_valid(limited, reply(piece))
    assert locate(piece, TEXT) is not None


def test_nothing_else_may_be_quoted() -> None:
    """Words of the model's own do not fit the grammar; without the limit they would."""
    assert jsonschema_rs.is_valid(SCHEMA, reply("my words"))
    assert not jsonschema_rs.is_valid(only_copies(SCHEMA, turns(TEXT)), reply("my words"))


def test_labels_and_other_strings_stay_as_they_are() -> None:
    """Only quotes are limited."""
    limited = only_copies(SCHEMA, turns(TEXT))
    chosen = limited["properties"]["answer"]["anyOf"][0]["properties"]
    assert chosen["label"] == SCHEMA["properties"]["answer"]["anyOf"][0]["properties"]["label"]
    assert limited["properties"]["answer"]["anyOf"][1] == SCHEMA["properties"]["answer"]["anyOf"][1]


def test_without_a_fenced_document_nothing_changes() -> None:
    """Any other use of the local model sees the schema it sent."""
    assert only_copies(SCHEMA, [{"role": "user", "content": TEXT}]) == SCHEMA


def test_a_long_document_is_offered_in_part() -> None:
    """A grammar with thousands of alternatives would be too large."""
    limited = only_copies(SCHEMA, turns("\n".join(f"line {n}" for n in range(1000))))
    evidence = limited["properties"]["answer"]["anyOf"][0]["properties"]["evidence"]
    assert len(evidence["enum"]) == MOST_PIECES
