"""Events of a job over real HTTP, with real workers: states once and in order, text while it comes, and the answer."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
import redis

from jobs import cancel, review, show
from jobs.tenancy import create_key, create_tenant
from schemas.ids import new_id
from schemas.job import FallbackPolicy, JobOptions
from stack.scripted import plays
from storage.database import Database
from tests.event_world import STREAM_KEY, Web, producer_key, web_settings
from tests.house import House, Workers, eventually, landed, submit_text, submit_texts
from tests.own_valkey import OwnValkey
from web.app import make_app


@pytest.fixture
def web(house: House) -> Iterator[Web]:
    """A web process."""
    with Web(make_app(web_settings(house))) as web:
        yield web


@pytest.fixture
def key(database: Database, tenant: str) -> str:
    """A producer's key."""
    return producer_key(database, tenant)


def start(workers: Workers, **more: str) -> None:
    """One worker process that passes partial text on."""
    workers.start(1, ASSAY_STREAM_KEY=STREAM_KEY, **more)


def whole_text(house: House, job_id: UUID) -> str:
    """What the model has written in the last attempt, as recorded."""
    ((response,),) = house.query("SELECT response FROM attempts WHERE job_id = %s ORDER BY number DESC LIMIT 1", job_id)
    return "".join(block["text"] for block in response["content"])


def test_a_job_is_told_from_beginning_to_end(
    house: House, database: Database, tenant: str, key: str, workers: Workers, web: Web
) -> None:
    """A client that is there from the start is told each state, the text as it comes, and the answer; then the stream ends."""
    house.provider.play(plays.drip(0.03, 20))
    job_id = submit_text(database, tenant, "billing please")
    stream = web.follow_job(job_id, key).until(lambda s: s.states, "the first state")
    assert stream.states == ["0-queued"]
    start(workers)
    done = stream.until_done()
    assert stream.states == ["0-queued", "0-published", "1-running", "1-answered"]
    assert done == show.show(database, tenant, job_id).model_dump(mode="json")
    names = [event.name for event in stream.events]
    assert names.count("text") > 3
    assert names.index("text") > names.index("state") + 2
    assert stream.text()
    assert whole_text(house, job_id).startswith(stream.text())


def test_a_client_that_leaves_and_comes_back_sees_each_state_once(
    house: House, database: Database, tenant: str, key: str, workers: Workers, web: Web
) -> None:
    """It leaves in the middle of the text. While it is away the call breaks and the job runs again: it is told what it has missed,
    nothing twice, and the new text from its beginning."""
    house.provider.play(plays.drip(0.03, 20), plays.status(503), plays.status(503), plays.drip(0.05, 20))
    start(workers, ASSAY_CALL_SECONDS="1.5", ASSAY_TRANSPORT_TRIES="1")
    job_id = submit_text(database, tenant, "billing please " * 20)
    before = web.follow_job(job_id, key).until(lambda s: s.text(), "some text")
    before.leave()
    assert before.states == ["0-queued", "0-published", "1-running"]
    eventually(lambda: _fence(house, job_id) >= 4, "it runs for the fourth time")
    house.provider.reset()
    after = web.follow_job(job_id, key, before.last_id)
    done = after.until_done()
    assert done["state"] == "answered"
    runs = sorted({run for (run,) in house.query("SELECT fence FROM attempts WHERE job_id = %s", job_id)})
    assert len(runs) >= 4
    expected = ["0-queued", "0-published", "1-running"]
    for run, following in itertools.pairwise(runs):
        expected += [f"{run}-queued", f"{run}-published", f"{following}-running"]
    assert before.states + after.states == [*expected, f"{runs[-1]}-answered"]


def test_a_client_that_comes_back_to_a_running_job_gets_the_text_whole(
    house: House, database: Database, tenant: str, key: str, workers: Workers, web: Web
) -> None:
    """States are not told again, but the text is, from its beginning; and both clients of one job see the same."""
    house.provider.play(plays.drip(0.05, 16))
    start(workers)
    job_id = submit_text(database, tenant, "billing please")
    first = web.follow_job(job_id, key).until(lambda s: len(s.text()) > 20, "some text")
    second = web.follow_job(job_id, key, first.last_id).until(lambda s: s.text(), "the text again")
    assert second.events[0].data["from"] == 0
    assert len(second.events[0].data["text"]) > 20
    assert second.states == []
    first.until_done()
    second.until_done()
    assert first.text() == second.text()
    assert first.states + second.states == ["0-queued", "0-published", "1-running", "1-answered", "1-answered"]


def test_a_job_is_booked_in_full_though_nobody_listens(
    house: House, database: Database, tenant: str, key: str, workers: Workers, web: Web
) -> None:
    """The client leaves in the middle of the text: the model's stream is read to its end, the answer counts, and the tokens
    booked are those that the provider bills."""
    house.provider.play(plays.drip(0.03, 20))
    start(workers)
    job_id = submit_text(database, tenant, "billing please")
    web.follow_job(job_id, key).until(lambda s: s.text(), "some text").leave()
    eventually(lambda: show.show(database, tenant, job_id).answer, "the answer")
    ((tokens_in, tokens_out, outcome),) = house.query(
        "SELECT input_tokens, output_tokens, outcome FROM attempts WHERE job_id = %s", job_id
    )
    (billed,) = house.provider.invoice()
    assert (tokens_in, tokens_out, outcome) == (
        billed["usage"]["input_tokens"],
        billed["usage"]["output_tokens"],
        "accepted",
    )


def test_a_repair_replaces_the_text(
    house: House, database: Database, tenant: str, key: str, workers: Workers, web: Web
) -> None:
    """The second attempt's text begins anew at 0, and what a client has in the end is that of the attempt that was accepted."""
    house.provider.play(plays.wrong_schema(), plays.drip(0.03, 20))
    start(workers)
    job_id = submit_text(database, tenant, "billing please")
    stream = web.follow_job(job_id, key)
    stream.until_done()
    texts = [event.data for event in stream.events if event.name == "text"]
    assert texts[-1]["attempt"] == 2
    assert next(text for text in texts if text["attempt"] == 2)["from"] == 0
    assert stream.states == ["0-queued", "0-published", "1-running", "1-answered"]
    assert whole_text(house, job_id).startswith(stream.text())


def test_text_stands_sealed_on_the_broker(
    house: House, database: Database, tenant: str, key: str, workers: Workers, web: Web
) -> None:
    """While a client is shown text that quotes the document, no key and no value on the broker holds a word of it."""
    house.provider.play(plays.drip(0.03, 20))
    start(workers)
    job_id = submit_text(database, tenant, "XyzzyPlugh billing")
    stream = web.follow_job(job_id, key).until(lambda s: "XyzzyPlugh" in s.text(), "the marker in the text")
    with redis.Redis.from_url(house.broker_url) as broker:
        keys = list(broker.scan_iter(count=1000))
        content = b"\n".join(
            name + (broker.dump(name) or b"") + (repr(broker.xrange(name)).encode() if b":partial:" in name else b"")
            for name in keys
        )
    assert f"assay:partial:{job_id}".encode() in keys
    assert b"XyzzyPlugh" not in content
    stream.until_done()


def test_a_tenant_may_forbid_partial_text(
    house: House, database: Database, tenant: str, key: str, workers: Workers, web: Web
) -> None:
    """States and the answer come, no text does, and none lies on the broker."""
    house.run(f"UPDATE tenants SET partial_text = false WHERE id = '{tenant}'")
    house.provider.play(plays.drip(0.03, 20))
    start(workers)
    job_id = submit_text(database, tenant, "billing please")
    stream = web.follow_job(job_id, key)
    stream.until_done()
    assert [event.name for event in stream.events] == ["state"] * 4 + ["done"]
    with redis.Redis.from_url(house.broker_url) as broker:
        assert not broker.exists(f"assay:partial:{job_id}")


def test_without_redis_there_are_states_and_no_text(
    house: House, database: Database, tenant: str, key: str, workers: Workers, tmp_path: Path
) -> None:
    """The server that carries partial text dies in the middle of it: the job lands, and its client is told so."""
    valkey = OwnValkey(tmp_path / "valkey")
    valkey.start()
    house.provider.play(plays.drip(0.03, 20))
    try:
        start(workers, REDIS_URL=str(valkey.url))
        with Web(make_app(web_settings(house, redis_url=valkey.url))) as web:
            job_id = submit_text(database, tenant, "billing please")
            stream = web.follow_job(job_id, key).until(lambda s: s.text(), "some text")
            valkey.stop()
            done = stream.until_done()
            assert done["answered_by"] == "model"
            assert stream.states == ["0-queued", "0-published", "1-running", "1-answered"]
            later = web.follow_job(job_id, key)
            later.until_done()
            assert later.states == stream.states
    finally:
        valkey.stop()


def test_who_has_everything_need_not_come_back(
    house: House, database: Database, tenant: str, key: str, workers: Workers, web: Web
) -> None:
    """After the last event a client that comes back is told so (204), and one cut off just before it gets that event alone."""
    start(workers)
    job_id = submit_text(database, tenant, "billing please")
    stream = web.follow_job(job_id, key)
    stream.until_done()
    assert stream.last_id == "1-answered.done"
    assert web.status(f"/v1/jobs/{job_id}/events", key, Last_Event_ID="1-answered.done") == (204, b"")
    rest = web.follow_job(job_id, key, "1-answered")
    rest.until_done()
    assert [event.name for event in rest.events] == ["done"]
    nonsense = web.follow_job(job_id, key, "nobody gave this")
    nonsense.until_done()
    assert nonsense.states == stream.states


def test_a_person_ends_it(house: House, database: Database, tenant: str, key: str, workers: Workers, web: Web) -> None:
    """A stream stays open while a job is in review, and tells the decision; a client that was away is told of the review too."""
    house.provider.play(plays.refusal())
    start(workers)
    job_id = submit_text(database, tenant, "billing please", JobOptions(fallback=FallbackPolicy.PERSON))
    stream = web.follow_job(job_id, key).until(lambda s: "1-in_review" in s.states, "it is in review")
    review.claim(database, tenant, "ann", 60, job_id=job_id)
    review.decide(database, tenant, job_id, "ann", review.Decision.REJECT)
    assert stream.until_done()["state"] == "failed"
    assert stream.states == ["0-queued", "0-published", "1-running", "1-in_review", "1-failed"]
    late = web.follow_job(job_id, key)
    late.until_done()
    assert late.states == stream.states


@pytest.mark.usefixtures("clean")
def test_a_cancelled_job(database: Database, tenant: str, key: str, web: Web) -> None:
    """A job that is cancelled before anybody works on it ends its stream."""
    job_id = submit_text(database, tenant, "billing please")
    stream = web.follow_job(job_id, key).until(lambda s: s.states, "the first state")
    cancel.cancel(database, tenant, job_id)
    assert stream.until_done()["state"] == "cancelled"
    assert stream.states == ["0-queued", "0-cancelled"]


@pytest.mark.usefixtures("clean")
def test_a_stream_outlives_the_database_connections(
    house: House, database: Database, tenant: str, key: str, web: Web
) -> None:
    """Connections to PostgreSQL that are cut while a client listens are made anew, and it is told what comes."""
    job_id = submit_text(database, tenant, "billing please")
    stream = web.follow_job(job_id, key).until(lambda s: s.states, "the first state")
    house.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'assay'")
    cancel.cancel(database, tenant, job_id)
    assert stream.until_done()["state"] == "cancelled"
    assert stream.states == ["0-queued", "0-cancelled"]


@pytest.mark.usefixtures("clean")
def test_who_may_not_see_it(database: Database, tenant: str, key: str, web: Web) -> None:
    """Another tenant's key, and a reviewer's, get what an id that does not exist gets; no key and a wrong one get 401."""
    job_id, batch_id = submit_text(database, tenant, "billing"), submit_texts(database, tenant, ["billing"])
    other = f"t{new_id().hex[-12:]}"
    create_tenant(database, other, "another")
    reviewer = create_key(database, tenant, "of a reviewer", "reviewer")[1]
    for path, nothing in (
        (f"/v1/jobs/{job_id}/events", f"/v1/jobs/{new_id()}/events"),
        (f"/v1/batches/{batch_id}/events", f"/v1/batches/{new_id()}/events"),
    ):
        unknown = web.status(nothing, key)
        assert unknown[0] == 404
        assert web.status(path, producer_key(database, other)) == unknown
        assert web.status(path, reviewer) == unknown
        assert web.status(path, None)[0] == web.status(path, "assay_wrong")[0] == 401


def test_a_batch_is_followed_to_its_end(
    house: House, database: Database, tenant: str, key: str, workers: Workers, web: Web
) -> None:
    """Progress never goes back, the last event is the batch as it is shown elsewhere, and who has that need not come back."""
    batch_id = submit_texts(database, tenant, [f"billing {number}" for number in range(30)])
    path = f"/v1/batches/{batch_id}/events"
    stream = web.follow(path, key).until(lambda s: s.events, "the first progress")
    assert stream.events[0].data["states"] == {"queued": 30}
    start(workers)
    done = stream.until_done()
    counts = [event.data["landed"] for event in stream.events]
    assert counts == sorted(counts)
    assert (done["state"], done["landed"], done["states"], done["attempts"]) == ("over", 30, {"answered": 30}, 30)
    assert done["output_tokens"] > 0
    assert len(landed(database, tenant, batch_id)) == 30
    assert web.status(path, key, Last_Event_ID="done") == (204, b"")
    later = web.follow(path, key)
    later.until_done()
    assert [event.name for event in later.events] == ["progress", "done"]


@pytest.mark.usefixtures("clean")
def test_clients_need_no_threads(database: Database, tenant: str, key: str, house: House) -> None:
    """A hundred clients are looked after by as many threads as one is."""
    job_ids = [submit_text(database, tenant, f"billing {number}") for number in range(10)]
    with Web(make_app(web_settings(house))) as web:
        one = web.follow_job(job_ids[0], key).until(lambda s: s.states, "the first")
        streams = [web.follow_job(job_ids[number % 10], key) for number in range(100)]
        for stream in streams:
            stream.until(lambda s: s.states, "its first state")
        towers = {thread.name for thread in threading.enumerate() if "tower" in thread.name}
        assert towers == {"watchtower-states", "watchtower-marks", "watchtower-texts", "batchtower"}
        for job_id in job_ids:
            cancel.cancel(database, tenant, job_id)
        for stream in [one, *streams]:
            stream.until_done()
            assert stream.states == ["0-queued", "0-cancelled"]


def _fence(house: House, job_id: UUID) -> int:
    ((fence,),) = house.query("SELECT fence FROM jobs WHERE id = %s", job_id)
    return int(fence)
