"""The table of what follows from a failure."""

import pytest

from fallbacks.routing import Again, Drop, Patience, Route, StandIn, route
from schemas.failure import Failure, FailureReason
from schemas.job import FallbackPolicy, OnOutage

PLENTY = Patience(tries_left=2, waits_left=5)
SPENT = Patience(tries_left=0, waits_left=0)
BOTH = StandIn(rules=True, person=True)
PERSON = StandIn(rules=False, person=True)

TABLE: dict[str, tuple[Route, Route]] = {
    # reason: with patience left, with none left
    "rate_limited": (Again(uses_try=False), BOTH),
    "overloaded": (Again(uses_try=False), BOTH),
    "budget_exhausted": (Again(uses_try=False), BOTH),
    "timeout": (Again(uses_try=True), BOTH),
    "unreachable": (Again(uses_try=True), BOTH),
    "refused": (BOTH, BOTH),
    "truncated": (BOTH, BOTH),
    "context_too_long": (BOTH, BOTH),
    "schema_violation": (BOTH, BOTH),
    "ungrounded": (BOTH, BOTH),
    "low_confidence": (BOTH, BOTH),
    "bad_request": (BOTH, BOTH),
    "misconfigured": (BOTH, BOTH),
    "not_applicable": (PERSON, PERSON),
    "policy_denied": (PERSON, PERSON),
    "quarantined": (PERSON, PERSON),
    "cancelled": (Drop(), Drop()),
}


def next_rung(reason: FailureReason, policy: FallbackPolicy, patience: Patience) -> Route:
    """The rung after a failure for this reason."""
    return route(Failure(reason=reason, detail="why"), policy, patience)


@pytest.mark.parametrize("reason", FailureReason)
def test_every_reason_has_its_rung(reason: FailureReason) -> None:
    """Each reason leads where the table says, with patience left and without."""
    patient, spent = TABLE[reason]
    assert next_rung(reason, FallbackPolicy.RULES_THEN_PERSON, PLENTY) == patient
    assert next_rung(reason, FallbackPolicy.RULES_THEN_PERSON, SPENT) == spent


@pytest.mark.parametrize(
    ("policy", "stand_in"),
    [
        (FallbackPolicy.RULES_THEN_PERSON, BOTH),
        (FallbackPolicy.RULES, StandIn(rules=True, person=False)),
        (FallbackPolicy.PERSON, PERSON),
        (FallbackPolicy.FAIL, StandIn(rules=False, person=False)),
    ],
)
def test_the_policy_is_the_stand_in(policy: FallbackPolicy, stand_in: StandIn) -> None:
    """Who stands in is the job's policy and nothing else."""
    assert next_rung(FailureReason.REFUSED, policy, PLENTY) == stand_in


@pytest.mark.parametrize(
    "reason", [FailureReason.NOT_APPLICABLE, FailureReason.POLICY_DENIED, FailureReason.QUARANTINED]
)
@pytest.mark.parametrize("policy", FallbackPolicy)
def test_rules_never_answer_what_only_a_person_may(reason: FailureReason, policy: FallbackPolicy) -> None:
    """A text of the wrong kind, one that may not be sent or one that kills processes reaches a person or nobody."""
    rung = next_rung(reason, policy, PLENTY)
    assert isinstance(rung, StandIn)
    assert not rung.rules


def test_waiting_and_tries_are_counted_apart() -> None:
    """An outage does not use up tries, and spent waits do not end a job that has tries left."""
    waiting = Patience(tries_left=0, waits_left=1)
    failing = Patience(tries_left=1, waits_left=0)
    assert next_rung(FailureReason.OVERLOADED, FallbackPolicy.RULES, waiting) == Again(uses_try=False)
    assert next_rung(FailureReason.TIMEOUT, FallbackPolicy.RULES, failing) == Again(uses_try=True)


@pytest.mark.parametrize("reason", [FailureReason.OVERLOADED, FailureReason.UNREACHABLE])
@pytest.mark.parametrize(
    ("on_outage", "patient", "spent"),
    [
        (OnOutage.WAIT, Again(uses_try=False), Again(uses_try=False)),
        (OnOutage.RULES, StandIn(rules=True, person=False), StandIn(rules=True, person=False)),
        (OnOutage.PERSON, PERSON, PERSON),
    ],
)
def test_a_job_says_what_becomes_of_it_in_an_outage(
    reason: FailureReason, on_outage: OnOutage, patient: Route, spent: Route
) -> None:
    """It waits as long as it takes, or the rules or a person get it at once, whatever patience is left."""
    for left, expected in ((5, patient), (0, spent)):
        rung = next_rung(reason, FallbackPolicy.FAIL, Patience(tries_left=left, waits_left=left, on_outage=on_outage))
        assert rung == expected


def test_a_rate_limit_is_no_outage() -> None:
    """A provider that asks to slow down is there: its jobs wait, whatever they say of outages."""
    for on_outage in OnOutage:
        patience = Patience(tries_left=0, waits_left=1, on_outage=on_outage)
        assert next_rung(FailureReason.RATE_LIMITED, FallbackPolicy.RULES, patience) == Again(uses_try=False)
