"""What a cancellation ended, as the commands say it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """So many jobs, or a batch that was still being received."""

    jobs: int
    upload: bool = False
