"""The local model's grammar keeps within what so small a model can do."""

import jsonschema_rs
import pytest

from stack.local_model.reach import MOST_CHARS, MOST_ITEMS, MOST_PIECES, within_reach
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
    limited = within_reach(SCHEMA, turns(TEXT))
    assert jsonschema_rs.is_valid(limited, reply(piece))
    assert locate(piece, TEXT) is not None


def test_nothing_else_may_be_quoted() -> None:
    """Words of the model's own do not fit the grammar; without the limit they would."""
    assert jsonschema_rs.is_valid(SCHEMA, reply("my words"))
    assert not jsonschema_rs.is_valid(within_reach(SCHEMA, turns(TEXT)), reply("my words"))


def test_labels_stay_as_they_are() -> None:
    """What the schema bounds itself is left alone."""
    limited = within_reach(SCHEMA, turns(TEXT))
    chosen = limited["properties"]["answer"]["anyOf"][0]["properties"]
    assert chosen["label"] == SCHEMA["properties"]["answer"]["anyOf"][0]["properties"]["label"]


def test_lists_and_free_strings_have_an_end() -> None:
    """A list ends after a few items, a string after some hundred characters; bounds of the schema's own win."""
    schema = {
        "type": "object",
        "properties": {
            "points": {"type": "array", "items": {"type": "string"}},
            "few": {"type": "array", "items": {"type": "integer"}, "maxItems": 1},
        },
    }
    limited = within_reach(schema, [])
    assert limited["properties"]["points"]["maxItems"] == MOST_ITEMS
    assert limited["properties"]["points"]["items"]["maxLength"] == MOST_CHARS
    assert limited["properties"]["few"]["maxItems"] == 1


def test_without_a_fenced_document_quotes_are_free() -> None:
    """Any other use of the local model may write what it likes."""
    limited = within_reach(SCHEMA, [{"role": "user", "content": TEXT}])
    assert jsonschema_rs.is_valid(limited, reply("my words"))


def test_a_long_document_is_offered_in_part() -> None:
    """A grammar with thousands of alternatives would be too large."""
    limited = within_reach(SCHEMA, turns("\n".join(f"line {n}" for n in range(1000))))
    evidence = limited["properties"]["answer"]["anyOf"][0]["properties"]["evidence"]
    assert len(evidence["enum"]) == MOST_PIECES
