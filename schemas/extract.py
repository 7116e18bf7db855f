"""Extract: a text and a schema in, the fields out, each with the words of the source that carry it."""

from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from schemas.answer import NotApplicable
from schemas.base import Contract
from schemas.extraction import CompiledSchema, compile_schema
from schemas.text import DocumentText


class ExtractRequest(Contract):
    """What a producer asks.

    Attributes:
        text: the document, 1 to 1,000,000 characters.
        fields_schema: (``schema`` in JSON) the name of a known schema, or a JSON Schema of the subset that
            ``schemas.extraction`` documents; anything else is refused with the path of what is unsupported.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    text: DocumentText
    fields_schema: str | dict[str, Any] = Field(alias="schema")

    @field_validator("fields_schema")
    @classmethod
    def _compiles(cls, schema: str | dict[str, Any]) -> str | dict[str, Any]:
        compile_schema(schema)
        return schema

    @property
    def compiled(self) -> CompiledSchema:
        """The schema, compiled; equal schemas are compiled once per process."""
        return compile_schema(self.fields_schema)


class Extraction(Contract):
    """The fields of an applicable document.

    Attributes:
        fields: shaped like the schema; every leaf is ``{"value": ..., "quote": ...}``, or null where it was not found.
        not_found: the dotted paths of the leaves that were not found.
    """

    outcome: Literal["extraction"] = "extraction"
    fields: dict[str, Any]
    not_found: list[str]


ExtractOutput = Extraction | NotApplicable
