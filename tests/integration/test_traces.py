"""Traces: a job's whole life is one trace, sent over real HTTP to whoever listens."""

import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from stack.scripted import plays
from storage.database import Database
from telemetry import traces
from tests.house import LABELS, House, Workers, eventually, run_assay, submit_text


@dataclass
class Collector:
    """What arrived at an OTLP endpoint."""

    url: str
    spans: list[Span] = field(default_factory=list)

    def of(self, trace_id: str) -> dict[str, list[Span]]:
        """The spans of one trace by name."""
        found: dict[str, list[Span]] = {}
        for span in list(self.spans):
            if span.trace_id.hex() == trace_id:
                found.setdefault(span.name, []).append(span)
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A real HTTP server that reads OTLP protobuf."""

    class Endpoint(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            for resource in body.resource_spans:
                for scope in resource.scope_spans:
                    made.spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        made = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def test_a_job_is_one_trace_from_submit_to_answer(
    house: House, collector: Collector, workers: Workers, tenant: str
) -> None:
    """The command that submits and the worker that runs send spans of the trace that the job's id names; a repair is a second
    call in the same run; no span holds a word of the document."""
    house.provider.play(plays.wrong_schema(), plays.answer())
    workers.start(1, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="100")
    text = "The invoice was paid twice, confidential-4711"
    done = run_assay(
        house, "submit", "classify", "-", "--tenant", tenant, *(word for label in LABELS for word in ("--label", label)),
        "--wait", "--json", stdin=text.encode(), OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (job_id,) = house.query("SELECT id FROM jobs WHERE tenant_id = %s", tenant)[0]
    trace_id = traces.trace_id(job_id)
    assert trace_id == job_id.hex
    found = eventually(
        lambda: spans if {"submit", "run"} <= set(spans := collector.of(trace_id)) else None, "spans of both processes"
    )
    (submit,), (run,) = found["submit"], found["run"]
    assert submit.parent_span_id == run.parent_span_id
    calls = [span for name, spans in found.items() if name.startswith("chat ") for span in spans]
    assert [span.parent_span_id for span in calls] == [run.span_id, run.span_id]
    purposes = {a.value.string_value for span in calls for a in span.attributes if a.key == "assay.purpose"}
    assert purposes == {"first", "repair"}
    assert b"4711" not in b"".join(span.SerializeToString() for span in collector.spans)


def test_nothing_is_sent_where_no_endpoint_is_set(
    house: House, database: Database, collector: Collector, workers: Workers, tenant: str
) -> None:
    """The job runs as always."""
    workers.start(1)
    job_id = submit_text(database, tenant, "any")
    eventually(
        lambda: house.query("SELECT 1 FROM jobs WHERE id = %s AND state = 'answered'", job_id), "the job is answered"
    )
    assert collector.spans == []
