"""docs/extraction-schemas.md says what the code does."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from schemas.extraction import KNOWN_SCHEMAS, compile_schema
from schemas.extraction_bounds import MAX_ENUM, MAX_PATTERN_CHARS
from schemas.extraction_refusal import DOCUMENT, MAX_NAME_CHARS
from schemas.extraction_subset import _ANNOTATIONS, _KEYWORDS, _ROOT_ONLY, MAX_DEPTH, MAX_LEAVES
from schemas.extraction_tree import FORMATS
from schemas.extraction_wire import MAX_UNIONS

TEXT = (Path(__file__).parents[3] / DOCUMENT).read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_every_supported_keyword_and_format_is_documented() -> None:
    """The table of keywords is the set that the code accepts, and the formats and known schemas stand there."""
    table = {word for row in re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE) for word in re.findall(r"`([^`]+)`", row)}
    assert table == {"type", "anyOf", "$ref", *_ANNOTATIONS, *_ROOT_ONLY}.union(*_KEYWORDS.values())
    for word in (*FORMATS, *KNOWN_SCHEMAS):
        assert f"`{word}`" in TEXT


def test_the_stated_limits_are_the_ones_enforced() -> None:
    """Every figure of the page is the constant of the code."""
    for said in (
        f"{MAX_LEAVES} leaves",
        f"{MAX_DEPTH} names in a path",
        f"1 to {MAX_NAME_CHARS} printable",
        f"up to {MAX_ENUM} values",
        f"up to {MAX_PATTERN_CHARS} characters",
        f"more than {MAX_UNIONS} leaves",
    ):
        assert said in TEXT


def test_the_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The example schema compiles, the answer fits it with the gaps stated, the program prints its comment."""
    (schema,) = [compile_schema(json.loads(code)) for language, code in BLOCKS if language == "json"]
    answer, program = [code for language, code in BLOCKS if language == "python"]
    said: dict[str, Any] = {}
    exec(answer, said)
    assert schema.violations(said["fields"]) == []
    assert schema.not_found(said["fields"]) == said["not_found"]
    exec(program, {})
    assert capsys.readouterr().out.strip() in program


def test_schemas_made_by_pydantic_fit() -> None:
    """Nested models, optional fields, literals, bounds and lists come out of pydantic inside the subset."""

    class Line(BaseModel):
        sku: str = Field(pattern="^[A-Z]+$")
        price: float | None = Field(default=None, ge=0)

    class Order(BaseModel):
        """An order."""

        number: str
        lines: list[Line] = []
        first: Line | None = Field(default=None, description="the first line")
        second: Line = Field(description="the second line")

    compiled = compile_schema(Order.model_json_schema())
    assert [leaf.path for leaf in compiled.leaves][:3] == ["number", "lines[].sku", "lines[].price"]
    assert compiled.wire()["properties"]["second"]["description"] == "the second line"
