"""From a request to an answer or a failure: the order in which things are tried.

:func:`prepare` makes the first call's content; it is pure and quick, and runs inside the claim's transaction.
:func:`pursue` makes calls; it runs outside any transaction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from orchestration.abort import Abort
from orchestration.conversation import escalated, larger, repaired
from orchestration.judgement import Verdict, judge
from orchestration.ledger import AttemptLedger
from orchestration.provider import Provider
from orchestration.transport import Made, Tries, make_call
from schemas.answer import Answer
from schemas.attempt import AttemptOutcome, Call, Purpose
from schemas.failure import Failure, FailureReason
from schemas.settings import Settings
from tasks.prompt import Prompt, RenderedPrompt
from tasks.spec import AnyTask

CONTEXT_TOKENS = 200_000
"""What the smallest context among the models in use holds."""

MOST_BYTES_PER_TOKEN = 4
"""No text of ours had more: the estimate is a lower bound, so that only what surely does not fit is refused here. The
provider counts exactly, and its refusal means the same."""

_WORTH_ESCALATING = frozenset({FailureReason.SCHEMA_VIOLATION, FailureReason.UNGROUNDED, FailureReason.TRUNCATED})
"""A stronger model may do better. A refusal is not shopped around, and transport errors are not the model's."""


@dataclass(frozen=True)
class Prepared:
    """A job ready to be pursued.

    Attributes:
        task, request: what is asked.
        call: the first call.
        models: model id by tier.
    """

    task: AnyTask
    request: Any
    call: Call
    models: Mapping[str, str]


class Outcome(NamedTuple):
    """How a pursuit ended.

    Attributes:
        attempts: calls made, all purposes together.
        repairs, escalations: how many of them were that.
    """

    result: Answer | Failure
    attempts: int
    repairs: int
    escalations: int


def prepare(
    task: AnyTask,
    request: Any,
    models: Mapping[str, str],
    *,
    prompt_version: str | None = None,
    context_tokens: int = CONTEXT_TOKENS,
) -> Prepared | Failure:
    """Make the first call's content.

    Args:
        request: an instance of ``task.request``.
        models: model id by tier, ``settings.tiers``.
        prompt_version: the version that the job was given; None takes the active one.
        context_tokens: what the model holds, prompt and answer together.

    Returns:
        ``Failure(misconfigured)`` where there is no such prompt version, ``Failure(context_too_long)`` where the text
        surely does not fit.
    """
    prompt = _resolve_prompt(task, prompt_version)
    if prompt is None:
        return Failure(
            reason=FailureReason.MISCONFIGURED, detail=f"There is no prompt {task.name}/{prompt_version}: see tasks/."
        )
    context = prompt.render(task.prompt_variables(request))
    if not _may_fit(context, prompt.head.max_tokens, context_tokens):
        return Failure(
            reason=FailureReason.CONTEXT_TOO_LONG,
            detail=f"The prompt is surely longer than the {context_tokens:,} tokens that the model holds.",
        )
    return Prepared(task, request, _first_call(task, request, prompt, context, models), models)


def _resolve_prompt(task: AnyTask, version: str | None) -> Prompt | None:
    return task.active_prompt if version is None else task.prompts.get(version)


def _may_fit(context: RenderedPrompt, max_tokens: int, context_tokens: int) -> bool:
    size = sum(len(text) if text.isascii() else len(text.encode()) for text in context)
    return size // MOST_BYTES_PER_TOKEN + max_tokens <= context_tokens


def _first_call(
    task: AnyTask, request: Any, prompt: Prompt, context: RenderedPrompt, models: Mapping[str, str]
) -> Call:
    head = prompt.head
    return Call(
        task=task.name,
        purpose=Purpose.FIRST,
        prompt_version=prompt.version,
        prompt_digest=prompt.digest,
        tier=head.tier,
        model=models[head.tier],
        system=context.system,
        messages=[{"role": "user", "content": context.user}],
        max_tokens=head.max_tokens,
        parameters={"effort": head.effort} if head.effort else {},
        output_schema=task.reply_schema(request),
    )


def pursue(
    prepared: Prepared,
    provider: Provider,
    ledger: AttemptLedger,
    *,
    settings: Settings,
    deadline: float,
    on_text: Callable[[str], None] | None = None,
    abort: Abort | None = None,
    sleep: Callable[[float], None] | None = None,
) -> Outcome:
    """Ask tier after tier until an answer holds or nothing is left to try.

    Args:
        settings: how often and how patiently transport errors are retried.
        deadline: end of the whole job, a ``time.monotonic()`` value; passed means ``Failure(timeout)``.
        on_text: is given the pieces of each reply's text as they arrive; each attempt begins anew.
        abort: set by another thread, it ends what is under way at once, and nothing further is tried: the outcome is
            its reason, unless an answer that holds had come whole by then. Calls made are settled; those that were not
            made are not opened.
        sleep: waits between retries; tests inject one that only takes notes.
    """
    make = partial(
        make_call,
        provider=provider,
        ledger=ledger,
        settings=settings,
        deadline=deadline,
        on_text=on_text,
        abort=abort,
        sleep=sleep,
    )
    pursuit = _Pursuit(prepared, ledger, make)
    call: Call | None = prepared.call
    asked: set[str] = set()
    while call is not None:
        asked.add(call.model)
        tried = pursuit.on_one_tier(call)
        if not isinstance(tried.result, Failure) or tried.result.reason not in _WORTH_ESCALATING:
            break
        call = escalated(prepared.call, prepared.models, asked, max_tokens=tried.max_tokens)
    return Outcome(_unless_aborted(tried.result, abort), pursuit.attempts, pursuit.repairs, pursuit.escalations)


def _unless_aborted(result: Answer | Failure, abort: Abort | None) -> Answer | Failure:
    """A failure found while the abort came says less than the abort."""
    if isinstance(result, Failure) and abort is not None and abort.reason is not None:
        return abort.reason
    return result


class _Tried(NamedTuple):
    """What one tier came to, and the cap that it would need."""

    result: Answer | Failure
    max_tokens: int


class _Pursuit:
    """The calls of one job, counted."""

    def __init__(self, prepared: Prepared, ledger: AttemptLedger, make: Callable[[Call], Tries]) -> None:
        self._prepared = prepared
        self._ledger = ledger
        self._make = make
        self.attempts = self.repairs = self.escalations = 0

    def on_one_tier(self, call: Call) -> _Tried:
        """A call, once more with a larger cap if it was truncated, then one repair if its answer was wrong."""
        made, verdict = self._ask(call)
        if _truncated(verdict) and (wider := larger(call)):
            call = wider
            made, verdict = self._ask(call)
        if made and verdict.violations:
            made, verdict = self._ask(repaired(call, made.reply, verdict.violations))
        return _Tried(verdict.result, call.max_tokens)

    def _ask(self, call: Call) -> tuple[Made | None, Verdict]:
        """One call with its transport retries, judged and settled."""
        tries = self._make(call)
        self._count(call, tries.attempts)
        if isinstance(tries.result, Failure):
            return None, Verdict(tries.result, [])
        verdict = judge(self._prepared.task, self._prepared.request, tries.result.reply)
        self._settle(tries.result, verdict)
        return tries.result, verdict

    def _count(self, call: Call, attempts: int) -> None:
        self.attempts += attempts
        if attempts:
            self.repairs += call.purpose is Purpose.REPAIR
            self.escalations += call.purpose is Purpose.ESCALATION

    def _settle(self, made: Made, verdict: Verdict) -> None:
        if isinstance(verdict.result, Failure):
            self._ledger.settle(made.number, AttemptOutcome.REJECTED, reply=made.reply, failure=verdict.result)
        else:
            self._ledger.settle(made.number, AttemptOutcome.ACCEPTED, reply=made.reply)


def _truncated(verdict: Verdict) -> bool:
    return isinstance(verdict.result, Failure) and verdict.result.reason is FailureReason.TRUNCATED
