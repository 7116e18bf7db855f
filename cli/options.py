"""Options and arguments that several commands share."""

from typing import Annotated
from uuid import UUID

import typer

from cli.errors import wrong_usage

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Tenant = Annotated[str, typer.Option("--tenant", metavar="T", help="Whose data.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", show_default=False, help="The id that `assay submit` printed.")]
BatchId = Annotated[
    str, typer.Argument(metavar="BATCH", show_default=False, help="The id that `assay submit` printed.")
]

DEFAULT_TENANT = "default"


def read_id(text: str, kind: str) -> UUID:
    """An id from the command line.

    Args:
        kind: what it should be the id of, for the sentence.
    """
    try:
        return UUID(text)
    except ValueError:
        raise wrong_usage(
            f"{text[:80]!r} is no {kind} id; ids look like 019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071."
        ) from None
