"""Each failure a provider can show ends in the state the design says, and the audit tells the whole story.

One worker process and the scripted provider over HTTP; each document names its failure, and the script plays it.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from uuid import UUID

import pytest
import redis

from jobs import show
from schemas.answer import AnsweredBy
from schemas.job import FallbackPolicy, JobOptions, JobState
from stack.scripted import plays
from stack.scripted.plays import Play
from storage.database import Database
from tests.house import House, RecordingPublisher, Workers, eventually, landed, one_round, submit_text, submit_texts

RULES_CAN = "{} Please refund the billing error."
"""A text in which the rule finds a label's name."""
RULES_CANNOT = "{} zzz qqq"


@dataclass(frozen=True)
class Case:
    """What is played, and what must come of it under the policy "rules".

    Attributes:
        by: who answers; None: nobody, the job fails (or waits for a person, with a policy that has one).
        purposes, outcomes: of the attempts, in order.
        reason: why the model did not answer.
    """

    name: str
    plays: list[Play]
    outcomes: list[str]
    reason: str | None
    by: AnsweredBy | None = AnsweredBy.RULES
    purposes: list[str] = field(default_factory=list)
    fallback: FallbackPolicy = FallbackPolicy.RULES


TWO_TIERS = ["first", "repair", "escalation", "repair", "escalation", "repair"]
"""Each of the three tiers is asked, and told once what was wrong."""
PATIENT = {
    "ASSAY_MAX_TRIES": "2",
    "ASSAY_MAX_WAITS": "1",
    "ASSAY_CALL_SECONDS": "1.5",
    "ASSAY_TRANSPORT_WAIT_MAX_SECONDS": "1",
    # As of a provider that is known: slow start has tests of its own.
    "ASSAY_CONCURRENT_CALLS": "10",
}

CASES = [
    Case("fine", [plays.answer()], ["accepted"], None, AnsweredBy.MODEL, ["first"]),
    Case("repaired", [plays.wrong_schema(), plays.answer()], ["rejected", "accepted"], None, AnsweredBy.MODEL, ["first", "repair"]),
    Case("prose", [plays.prose(), plays.answer()], ["rejected", "accepted"], None, AnsweredBy.MODEL, ["first", "repair"]),
    Case("wrong-schema", [plays.wrong_schema()], ["rejected"] * 6, "schema_violation", purposes=TWO_TIERS),
    Case("half-json", [plays.half_json()], ["rejected"] * 6, "schema_violation", purposes=TWO_TIERS),
    Case("ungrounded", [plays.ungrounded()], ["rejected"] * 6, "ungrounded", purposes=TWO_TIERS),
    Case("empty", [plays.empty()], ["rejected"] * 6, "schema_violation", purposes=TWO_TIERS),
    Case("escalated", [plays.wrong_schema(), plays.wrong_schema(), plays.answer()], ["rejected", "rejected", "accepted"], None,
         AnsweredBy.MODEL, TWO_TIERS[:3]),
    Case("larger", [plays.truncated(), plays.answer()], ["rejected", "accepted"], None, AnsweredBy.MODEL, ["first", "larger"]),
    Case("truncated", [plays.truncated()], ["rejected"] * 6, "truncated",
         purposes=["first", "larger", "escalation", "larger", "escalation", "larger"]),
    Case("refusal", [plays.refusal()], ["rejected"], "refused", purposes=["first"]),
    Case("refusal-in-words", [plays.refusal("I cannot help with that.")], ["rejected"], "refused", purposes=["first"]),
    Case("not-applicable", [plays.not_applicable()], ["rejected"], "not_applicable", None, ["first"]),
    Case("too-long", [plays.prompt_too_long()], ["failed"], "context_too_long", purposes=["first"]),
    Case("s400", [plays.status(400)], ["failed"], "bad_request", purposes=["first"]),
    Case("s401", [plays.status(401)], ["failed"], "misconfigured", purposes=["first"]),
    Case("s403", [plays.status(403)], ["failed"], "misconfigured", purposes=["first"]),
    Case("s404", [plays.status(404)], ["failed"], "misconfigured", purposes=["first"]),
    Case("s413", [plays.status(413)], ["failed"], "context_too_long", purposes=["first"]),
    # Two tries within a run, one wait that uses no try, then the waits are spent.
    Case("s429", [plays.status(429)], ["failed"] * 4, "rate_limited", purposes=["first", "retry"] * 2),
    Case("s429-soon", [plays.status(429, retry_after=0.1, form="ms"), plays.answer()], ["failed", "accepted"], None,
         AnsweredBy.MODEL, ["first", "retry"]),
    # The wait asked for is longer than a worker sleeps: the job is put back instead.
    Case("s429-later", [plays.status(429, retry_after=2), plays.answer()], ["failed", "accepted"], None,
         AnsweredBy.MODEL, ["first", "first"]),
    Case("s500", [plays.status(500)], ["failed"] * 4, "overloaded", purposes=["first", "retry"] * 2),
    Case("s529", [plays.status(529), plays.answer()], ["failed", "accepted"], None, AnsweredBy.MODEL, ["first", "retry"]),
    Case("stream-error", [plays.stream_error(), plays.answer()], ["failed", "accepted"], None, AnsweredBy.MODEL,
         ["first", "retry"]),
    Case("dropped", [plays.drop("mid_stream")], ["failed"] * 4, "unreachable", purposes=["first", "retry"] * 2),
    Case("no-end", [plays.no_message_stop(), plays.answer()], ["failed", "accepted"], None, AnsweredBy.MODEL,
         ["first", "retry"]),
    Case("html", [plays.html(), plays.answer()], ["failed", "accepted"], None, AnsweredBy.MODEL, ["first", "retry"]),
    # A timeout uses a try and is not repeated within the run; the second run is the last.
    Case("drip", [plays.drip(interval=0.5, size=4)], ["failed"] * 2, "timeout", purposes=["first"] * 2),
    Case("hang", [plays.hang()], ["failed"] * 2, "timeout", purposes=["first"] * 2),
]  # fmt: skip


ALONE = "s429"
"""The case that feels each pause which admission makes of its refusals."""


@pytest.fixture(scope="module")
def stories(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, show.Story]]:
    """All cases run through one worker process; the story of each job by its case's name."""
    house.forget_jobs()
    house.provider.reset()
    with closing(Database(house.app_url)) as database:
        with Workers(house, tmp_path_factory.mktemp("failures")) as workers:
            workers.start(1, **PATIENT)
            ids = run(house, database, [case for case in CASES if case.name != ALONE], unlearned=True)
            ids |= run(house, database, [case for case in CASES if case.name == ALONE], unlearned=False)
            log = workers.logs()
        yield {name: show.story(database, "default", job_id) for name, job_id in ids.items()}
    assert "Traceback" not in log


def run(house: House, database: Database, cases: list[Case], *, unlearned: bool) -> dict[str, UUID]:
    """Play cases side by side until all have landed; job ids by name.

    Args:
        unlearned: admission forgets what each failure taught it of the model: else the pauses after one case's refusals would
            be the others' too, a minute in all. What it learns has tests of its own.
    """
    ids = {}
    for case in cases:
        house.provider.play(*case.plays, contains=f"case-{case.name}.")
        text = RULES_CAN.format(f"case-{case.name}.")
        ids[case.name] = submit_text(database, "default", text, JobOptions(fallback=case.fallback))

    with redis.Redis.from_url(house.broker_url) as broker:

        def all_landed() -> bool:
            if unlearned:
                for state in broker.scan_iter(match="*}:admission:model:*", _type="STRING"):
                    broker.delete(state)
            states = {show.show(database, "default", job_id).state for job_id in ids.values()}
            return states <= {JobState.ANSWERED, JobState.FAILED}

        eventually(all_landed, "all landed")
    return ids


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_failure_lands_where_the_design_says(case: Case, stories: dict[str, show.Story]) -> None:
    """State, who answered, reason, and the attempts' purposes and outcomes are those of the table above."""
    story = stories[case.name]
    assert [attempt["purpose"] for attempt in story.attempts] == case.purposes
    assert [attempt["outcome"] for attempt in story.attempts] == case.outcomes
    assert story.job["answered_by"] == case.by
    assert story.job["state"] == ("failed" if case.by is None else "answered")
    assert story.job["failure_reason"] == case.reason


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_audit_holds_what_was_sent_and_received(case: Case, stories: dict[str, show.Story]) -> None:
    """Every attempt holds the full prompt with the document, its parameters, times, and what came back verbatim."""
    for attempt in stories[case.name].attempts:
        assert f"case-{case.name}." in attempt["request"]["messages"][0]["content"]
        assert "classify" in attempt["request"]["system"]
        assert attempt["request"]["max_tokens"] > 0
        assert attempt["request"]["output_schema"]["required"] == ["answer"]
        assert attempt["prompt_version"] == "v1"
        assert len(attempt["prompt_digest"]) == 64
        assert attempt["settled_at"] >= attempt["opened_at"]
        assert attempt["seconds"] > 0
        if attempt["outcome"] in {"accepted", "rejected"}:
            assert attempt["request_id"]
            assert attempt["response"]["usage"]["output_tokens"] == attempt["output_tokens"]
            assert attempt["answered_model"]
            assert attempt["cost_usd"] > 0
        else:
            assert attempt["failure_reason"]


def test_the_repair_turn_tells_the_model_what_was_wrong(stories: dict[str, show.Story]) -> None:
    """The second call of a repaired job holds the first reply and the exact errors."""
    first, repair = stories["repaired"].attempts
    turns = repair["request"]["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[1]["content"] == first["response"]["content"][0]["text"]
    assert "answer" in turns[2]["content"]


def test_escalation_asks_another_model(stories: dict[str, show.Story]) -> None:
    """Each tier that is asked has a model of its own."""
    models = [attempt["model"] for attempt in stories["wrong-schema"].attempts]
    assert len(set(models)) == 3


def test_waits_and_stand_ins_are_in_the_history(stories: dict[str, show.Story]) -> None:
    """What happened between the attempts is told too."""
    kinds = [event["kind"] for event in stories["s429"].events]
    assert kinds == ["waiting", "answered_by_rules"]
    assert stories["s429"].job["tries"] == 0
    assert stories["drip"].job["tries"] == 1


def test_an_error_body_is_kept_verbatim(stories: dict[str, show.Story]) -> None:
    """The provider's own words about an error are in the audit, with the status."""
    (attempt,) = stories["s401"].attempts
    assert attempt["http_status"] == 401
    assert "played by the script" in str(attempt["response"])
    assert "ANTHROPIC_API_KEY" in attempt["failure_detail"]


@pytest.mark.parametrize(
    ("policy", "text", "state", "by"),
    [
        (FallbackPolicy.RULES_THEN_PERSON, RULES_CAN, JobState.ANSWERED, AnsweredBy.RULES),
        (FallbackPolicy.RULES_THEN_PERSON, RULES_CANNOT, JobState.IN_REVIEW, None),
        (FallbackPolicy.RULES, RULES_CANNOT, JobState.FAILED, None),
        (FallbackPolicy.PERSON, RULES_CAN, JobState.IN_REVIEW, None),
        (FallbackPolicy.FAIL, RULES_CAN, JobState.FAILED, None),
    ],
)
def test_the_policy_says_who_stands_in(
    house: House,
    database: Database,
    tenant: str,
    workers: Workers,
    policy: FallbackPolicy,
    text: str,
    state: JobState,
    by: AnsweredBy | None,
) -> None:
    """The same refusal ends with rules, a person or nobody, as the job's policy has it."""
    house.provider.play(plays.refusal(), contains="policy")
    workers.start()
    batch = submit_texts(database, tenant, [text.format("policy")], JobOptions(fallback=policy))
    (view,) = landed(database, tenant, batch)
    assert (view.state, view.answered_by) == (state, by)
    assert view.failure is not None
    assert view.failure.reason == "refused"


def test_a_broker_that_is_away_loses_nothing(database: Database, tenant: str, clean: None) -> None:
    """What the broker does not take waits in Postgres for the next round."""
    from jobs.dispatch import PublishFailed

    class Away(RecordingPublisher):
        def publish(self, *_: object) -> None:
            raise PublishFailed("away")

    batch = submit_texts(database, tenant, ["one", "two"])
    assert one_round(database, Away()) == 0
    assert show.progress(database, tenant, batch).states == {"queued": 2}
    publisher = RecordingPublisher()
    assert one_round(database, publisher) == 2
