"""Model tiers: which model by role. Ids live only in settings."""

from enum import StrEnum


class Tier(StrEnum):
    """Cheapest first."""

    SMALL = "small"
    STANDARD = "standard"
    DEEP = "deep"
