"""The simple job of both comparisons: call the model, validate the answer, write two rows in one transaction.

It has no lease, no audit, no tenant, no fallback and no repair; what it has is written as one would write it.
"""

import os
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel
from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Engine,
    ForeignKey,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    func,
    insert,
)
from sqlalchemy.dialects.postgresql import UUID

from benchmarks.documents import LABELS
from storage.database import sqlalchemy_url

if TYPE_CHECKING:
    from anthropic import Anthropic
    from anthropic.types import JSONOutputFormatParam

MODEL = "claude-haiku-5-5"
SYSTEM = (
    "You classify documents. Choose the one label that fits best: "
    + "; ".join(f"{label['name']}: {label['description']}" for label in LABELS)
    + ". Give as evidence a short quote copied verbatim from the document. Reply with JSON only."
)
POOL_SIZE = 50
"""A connection per thread: with fewer, SQLAlchemy's overflow opens and closes connections all the time."""

metadata = MetaData()
documents = Table(
    "documents",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True),
    Column("text", Text, nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("started", DateTime(timezone=True), nullable=False),
)
answers = Table(
    "answers",
    metadata,
    Column("document_id", ForeignKey("documents.id"), primary_key=True),
    Column("label", String, nullable=False),
    Column("response", JSON, nullable=False),
    Column("finished", DateTime(timezone=True), nullable=False, server_default=func.now()),
)


class Classified(BaseModel):
    """What the model has to answer."""

    label: Literal["billing", "shipping", "returns", "account", "other"]
    evidence: str


@lru_cache
def client() -> "Anthropic":
    """One client per process, shared by its threads; address and key from the environment."""
    import anthropic

    return anthropic.Anthropic()


@lru_cache
def engine() -> Engine:
    """One connection pool per process."""
    return create_engine(sqlalchemy_url(os.environ["DATABASE_URL"]), pool_size=POOL_SIZE, max_overflow=0)


@lru_cache
def output_format() -> "JSONOutputFormatParam":
    """The answer's schema as the provider takes it."""
    import anthropic

    return {"type": "json_schema", "schema": anthropic.transform_schema(Classified)}


def run(job_id: str, text: str, created: float) -> None:
    """Do one job.

    Args:
        created: when it was submitted, in seconds since 1970.
    """
    started = time.time()
    message = client().messages.create(
        model=MODEL,
        max_tokens=512,
        system=SYSTEM,
        messages=[{"role": "user", "content": f"{text}\n\nClassify the document."}],
        output_config={"format": output_format(), "effort": "low"},
    )
    answer = next(block.text for block in message.content if block.type == "text")
    classified = Classified.model_validate_json(answer)
    with engine().begin() as connection:
        connection.execute(
            insert(documents).values(id=job_id, text=text, created=_when(created), started=_when(started))
        )
        connection.execute(
            insert(answers).values(document_id=job_id, label=classified.label, response=message.model_dump(mode="json"))
        )


def _when(seconds: float) -> Any:
    return func.to_timestamp(seconds)
