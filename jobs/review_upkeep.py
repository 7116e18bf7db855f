"""What the desk needs done when nobody looks at it: decisions take effect, and answers are drawn for a second look."""

from typing import Final

from storage import review_queue, reviews, second_reviews
from storage.database import Database

SAMPLING_LAG_SECONDS: Final = 120.0
"""Longer than a transaction that ends a job can last (statements end after 60 s, idle ones sooner): no answer escapes the draw."""
_SETTLED_AT_A_TIME = 200
_SAMPLED_AT_A_TIME = 5000
_ROUNDS = 10
"""At a time; what is left then waits for the next sweep, which must not be kept from its other duties."""


def settle_decisions(database: Database) -> int:
    """Let decisions take effect that can no longer be taken back; returns how many did."""
    with database.system() as connection:
        tenants = review_queue.tenants_with_due_decisions(connection)
    settled = 0
    for tenant in tenants:
        for _ in range(_ROUNDS):
            with database.tenant(tenant) as connection:
                done = len(reviews.settle_due(connection, limit=_SETTLED_AT_A_TIME))
            settled += done
            if done < _SETTLED_AT_A_TIME:
                break
    return settled


def sample_answers(database: Database, *, lag_seconds: float = SAMPLING_LAG_SECONDS) -> int:
    """Draw from the model's answers that were given since the last time, each task at its rate; returns how many."""
    drawn = 0
    for _ in range(_ROUNDS):
        with database.system() as connection:
            passed, chosen = second_reviews.sample(connection, lag_seconds=lag_seconds, limit=_SAMPLED_AT_A_TIME)
        drawn += chosen
        if passed < _SAMPLED_AT_A_TIME:
            break
    return drawn
