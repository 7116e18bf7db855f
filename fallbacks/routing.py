"""What follows from a failure: the one table, and the only ``match`` over failure reasons.

| reason | first | then | uses a try |
|---|---|---|---|
| rate_limited, budget_exhausted | wait, then the model again | stand-in when the waits are spent | no |
| overloaded | as its ``on_outage`` says: wait, or the rules or a person at once | stand-in when the waits are spent | no |
| unreachable | as its ``on_outage`` says; by default the model again | stand-in when the tries are spent | yes |
| timeout | the model again | stand-in when the tries are spent | yes |
| refused, truncated, context_too_long | stand-in | | |
| schema_violation, ungrounded, low_confidence | stand-in (repair and escalation are over by then) | | |
| not_applicable | a person, never rules and never a retry | | |
| policy_denied | a person, never rules: somebody must decide what may happen to the text | | |
| quarantined | a person, never rules and never a retry: nothing may run on that text | | |
| bad_request, misconfigured | stand-in; an operator sees the reason | | |
| cancelled | nothing | | |

*Stand-in* is the job's policy: rules, a person, rules and then a person, or none. With ``on_outage = wait`` a job waits for
the provider as long as it takes, until its deadline if it has one.
"""

from dataclasses import dataclass
from typing import assert_never

from schemas.failure import Failure, FailureReason
from schemas.job import FallbackPolicy, OnOutage


@dataclass(frozen=True)
class Again:
    """Put the job back and ask the model later.

    Attributes:
        uses_try: False where waiting is not failing.
    """

    uses_try: bool


@dataclass(frozen=True)
class StandIn:
    """No more model: these stand in, in this order.

    Attributes:
        rules: the rule-based stand-in may answer.
        person: a person may.
    """

    rules: bool
    person: bool


@dataclass(frozen=True)
class Drop:
    """Nobody wants an answer any more."""


Route = Again | StandIn | Drop


@dataclass(frozen=True)
class Patience:
    """What is left for a job.

    Attributes:
        tries_left: runs that may still fail, this one not counted.
        waits_left: times it may still be put back without using a try.
        on_outage: what becomes of it when the provider stays away.
    """

    tries_left: int
    waits_left: int
    on_outage: OnOutage = OnOutage.FALLBACK


def route(failure: Failure, policy: FallbackPolicy, patience: Patience) -> Route:  # noqa: PLR0911 - a row each
    """The next rung for a job whose run ended in ``failure``."""
    match failure.reason:
        case FailureReason.RATE_LIMITED | FailureReason.BUDGET_EXHAUSTED:
            return _wait(policy, patience)
        case FailureReason.OVERLOADED:
            return outage(policy, patience)
        case FailureReason.UNREACHABLE:
            by_default = patience.on_outage is OnOutage.FALLBACK
            return _try_again(policy, patience) if by_default else outage(policy, patience)
        case FailureReason.TIMEOUT:
            return _try_again(policy, patience)
        case (
            FailureReason.REFUSED
            | FailureReason.TRUNCATED
            | FailureReason.CONTEXT_TOO_LONG
            | FailureReason.SCHEMA_VIOLATION
            | FailureReason.UNGROUNDED
            | FailureReason.LOW_CONFIDENCE
            | FailureReason.BAD_REQUEST
            | FailureReason.MISCONFIGURED
        ):
            return stand_in(policy)
        case FailureReason.NOT_APPLICABLE | FailureReason.POLICY_DENIED | FailureReason.QUARANTINED:
            return StandIn(rules=False, person=stand_in(policy).person)
        case FailureReason.CANCELLED:
            return Drop()
        case _:
            assert_never(failure.reason)


def outage(policy: FallbackPolicy, patience: Patience) -> Route:
    """The next rung of a job whose provider is away."""
    match patience.on_outage:
        case OnOutage.FALLBACK | OnOutage.WAIT:
            return _wait(policy, patience)
        case OnOutage.RULES:
            return StandIn(rules=True, person=stand_in(policy).person)
        case OnOutage.PERSON:
            return StandIn(rules=False, person=True)
        case _:
            assert_never(patience.on_outage)


def _try_again(policy: FallbackPolicy, patience: Patience) -> Route:
    return Again(uses_try=True) if patience.tries_left > 0 else stand_in(policy)


def _wait(policy: FallbackPolicy, patience: Patience) -> Route:
    if patience.waits_left > 0 or patience.on_outage is OnOutage.WAIT:
        return Again(uses_try=False)
    return stand_in(policy)


def stand_in(policy: FallbackPolicy) -> StandIn:
    """Who stands in under a policy."""
    match policy:
        case FallbackPolicy.RULES_THEN_PERSON:
            return StandIn(rules=True, person=True)
        case FallbackPolicy.RULES:
            return StandIn(rules=True, person=False)
        case FallbackPolicy.PERSON:
            return StandIn(rules=False, person=True)
        case FallbackPolicy.FAIL:
            return StandIn(rules=False, person=False)
        case _:
            assert_never(policy)
