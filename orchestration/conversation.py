"""The calls that follow a first one that did not do: with a larger cap, with its errors told, at the next tier."""

from collections.abc import Mapping

from schemas.answer import Violation
from schemas.attempt import Call, Purpose, Reply
from schemas.tier import Tier

MAX_TOKENS = 64_000
"""No call asks for more output than this."""

TOLD_VIOLATIONS = 20
TOLD_CHARS = 300
ECHOED_CHARS = 20_000
"""Bounds of a repair turn: violations told, characters of each, characters of the model's own reply given back."""

_REPAIR = """Your reply was not accepted:
{violations}

Reply again with the whole corrected JSON, and nothing else."""


def larger(call: Call) -> Call | None:
    """The same question with twice the token cap; None where the cap cannot grow."""
    cap = min(call.max_tokens * 2, MAX_TOKENS)
    if cap <= call.max_tokens:
        return None
    return call.model_copy(update={"purpose": Purpose.LARGER, "max_tokens": cap})


def repaired(call: Call, reply: Reply, violations: list[Violation]) -> Call:
    """The conversation so far, and what was wrong with the reply."""
    told = _REPAIR.format(violations="\n".join(_told(violations)))
    said = reply.text.strip()
    if said:
        turns = [
            *call.messages,
            {"role": "assistant", "content": said[:ECHOED_CHARS]},
            {"role": "user", "content": told},
        ]
    else:  # an empty assistant turn is refused by the provider
        *before, last = call.messages
        turns = [*before, {**last, "content": f"{last['content']}\n\n{told}"}]
    return call.model_copy(update={"purpose": Purpose.REPAIR, "messages": turns})


def _told(violations: list[Violation]) -> list[str]:
    lines = [f"- {str(violation)[:TOLD_CHARS]}" for violation in violations[:TOLD_VIOLATIONS]]
    left = len(violations) - TOLD_VIOLATIONS
    return [*lines, f"- and {left} more"] if left > 0 else lines


def escalated(first: Call, models: Mapping[str, str], asked: set[str], *, max_tokens: int) -> Call | None:
    """The first question, fresh, to the next tier whose model was not asked yet; None at the top."""
    tiers = list(Tier)
    for tier in tiers[tiers.index(first.tier) + 1 :]:
        model = models[tier]
        if model not in asked:
            return first.model_copy(
                update={"purpose": Purpose.ESCALATION, "tier": tier, "model": model, "max_tokens": max_tokens}
            )
    return None
