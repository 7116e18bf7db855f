"""What beat rings for, and how often."""

from typing import Any

from schemas.settings import Settings

PARTITION_SECONDS = 12 * 3600


def beat_schedule(settings: Settings) -> dict[str, Any]:
    """The periodic control tasks. A tick that is late by its whole period is dropped: the next one does the same."""
    periods = {
        "assay.control.sweep": settings.sweep_seconds,
        "assay.control.dispatch": settings.sweep_seconds,
        "assay.control.partitions": float(PARTITION_SECONDS),
    }
    return {
        name: {"task": name, "schedule": seconds, "options": {"expires": max(seconds, 1), "ignore_result": True}}
        for name, seconds in periods.items()
    }
