"""Traces from submit to answer, for whoever sets OTEL_EXPORTER_OTLP_ENDPOINT; nothing otherwise.

A job is one trace, and its id follows from the job's: so the process that submitted it and the workers that run it need to
tell each other nothing, and whoever knows a job finds its trace.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from uuid import UUID

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
Value = str | int | float | bool


class TracesRefused(RuntimeError):
    """Traces are asked for and cannot be sent; the message says what to install."""


def set_up_traces(process: str) -> None:
    """Send traces where the environment says (the OTEL_ variables of OpenTelemetry), in a thread of their own.

    Raises:
        TracesRefused: the endpoint is set and the SDK is not installed.
    """
    if not os.environ.get(ENDPOINT):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise TracesRefused(
            f"{ENDPOINT} is set, but the OpenTelemetry SDK is not installed: pip install 'assay[traces]', or unset it."
        ) from None
    provider = TracerProvider(resource=Resource.create({"service.name": f"assay-{process}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


@contextmanager
def span_of_job(name: str, job_id: UUID, about: Mapping[str, Value]) -> Iterator[Span]:
    """A step of a job's life. Steps inside the block, such as its calls, become children of it.

    Args:
        about: ids and figures.
    """
    with _tracer().start_as_current_span(
        name,
        context=trace.set_span_in_context(NonRecordingSpan(_root(job_id))),
        kind=SpanKind.CONSUMER,
        attributes={"assay.job_id": str(job_id), **about},
        record_exception=False,  # its text could repeat a document
        set_status_on_exception=False,
    ) as span:
        yield span


@contextmanager
def span_of_call(name: str, about: Mapping[str, Value]) -> Iterator[Span]:
    """A call within the step that is open in this thread."""
    with _tracer().start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=dict(about), record_exception=False, set_status_on_exception=False
    ) as span:
        yield span


def failed(span: Span, reason: str) -> None:
    """The step came to no good end."""
    span.set_status(Status(StatusCode.ERROR, reason))


def trace_id(job_id: UUID) -> str:
    """Of a job's trace, as tracing tools show it."""
    return f"{_root(job_id).trace_id:032x}"


def _root(job_id: UUID) -> SpanContext:
    """The job itself: the parent of its steps. No process lives as long as a job, so nobody sends it."""
    span_id = int.from_bytes(hashlib.sha256(job_id.bytes).digest()[:8], "big") or 1
    return SpanContext(job_id.int or 1, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


@cache
def _tracer() -> trace.Tracer:
    return trace.get_tracer("assay")
