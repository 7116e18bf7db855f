"""The base of every contract: strict about unknown fields, immutable once made."""

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """A value that crosses a boundary: unknown fields are refused and a made value never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
