"""What beat rings for, and how often. Dispatch and sweep are not here: they must not queue behind work (``workers.upkeep``)."""

from typing import Any

HOUSEKEEPING_SECONDS = 3600.0


def beat_schedule() -> dict[str, Any]:
    """The periodic control tasks. A tick that is late by its whole period is dropped: the next one does the same."""
    name = "assay.control.housekeeping"
    options = {"expires": HOUSEKEEPING_SECONDS, "ignore_result": True}
    return {name: {"task": name, "schedule": HOUSEKEEPING_SECONDS, "options": options}}
