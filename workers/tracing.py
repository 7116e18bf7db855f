"""Calls to models as spans of their job's trace."""

from collections.abc import Callable

from opentelemetry.trace import Span

from orchestration.abort import Abort
from orchestration.provider import Provider
from schemas.attempt import BrokenCall, Call, Reply
from telemetry.traces import failed, span_of_call


class TracedProvider:
    """A provider each call of which is a span: model, purpose, tokens, how it ended. Names follow OpenTelemetry's conventions
    for generative AI where they have one."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def send(
        self,
        call: Call,
        *,
        deadline: float,
        on_text: Callable[[str], None] | None = None,
        abort: Abort | None = None,
    ) -> Reply | BrokenCall:
        """As :meth:`orchestration.provider.Provider.send`."""
        about = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": call.model,
            "assay.purpose": str(call.purpose),
            "assay.prompt_version": call.prompt_version,
        }
        with span_of_call(f"chat {call.model}", about) as span:
            made = self._provider.send(call, deadline=deadline, on_text=on_text, abort=abort)
            _note(span, made)
        return made


def _note(span: Span, made: Reply | BrokenCall) -> None:
    if made.usage is not None:
        span.set_attribute("gen_ai.usage.input_tokens", made.usage.input_tokens)
        span.set_attribute("gen_ai.usage.output_tokens", made.usage.output_tokens)
    if made.model is not None:
        span.set_attribute("gen_ai.response.model", made.model)
    if isinstance(made, BrokenCall):
        failed(span, str(made.failure.reason))
