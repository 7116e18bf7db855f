"""The settings of a Celery process, read when they are first needed."""

import sys
from functools import lru_cache

from schemas.settings import Settings, SettingsRefused, read_settings


@lru_cache
def worker_settings() -> Settings:
    """The settings of this process; Celery's commands end with the sentence where one is wrong."""
    try:
        return read_settings()
    except SettingsRefused as refusal:
        sys.exit(f"assay: {refusal}")
