"""Notices are sent: at least once, signed, tried again for a day, and to nobody who does not want them."""

import socket
import threading

import pytest

from jobs import cancel, webhook_sending, webhooks
from schemas.webhook import DeliveryState, WebhookEvent
from storage import webhooks as stored
from storage.database import Database
from tests.house import House, Workers, eventually, landed, submit_texts
from tests.webhook_world import Receiver, endpoint, finished_job, is_signed
from workers.webhooks import Messenger

pytestmark = pytest.mark.usefixtures("clean")


def everything_is_due(house: House) -> None:
    """As if the wait of every try were over."""
    house.run("UPDATE webhook_deliveries SET next_at = now() WHERE state = 'pending'")
    house.run("UPDATE webhooks SET resume_at = NULL")


def test_workers_tell_of_every_job_and_of_the_batch(
    house: House, database: Database, tenant: str, workers: Workers, receiver: Receiver
) -> None:
    """Each finished job once, then the batch; ids and states and no word of the documents or their answers."""
    made = endpoint(database, tenant, receiver.url)
    workers.start(ASSAY_WEBHOOK_PRIVATE="true")
    batch = submit_texts(database, tenant, ["a very secret text", "another one"])
    views = landed(database, tenant, batch)
    eventually(lambda: len(receiver.got) == 3, "two jobs and a batch are told")
    jobs = {one.json["data"]["job_id"]: one.json for one in receiver.got if one.json["type"] == "job.finished"}
    assert set(jobs) == {str(view.job_id) for view in views}
    for told in jobs.values():
        assert (told["data"]["state"], told["data"]["answered_by"], told["data"]["batch_id"]) == (
            "answered",
            "model",
            str(batch),
        )
        assert set(told) == {"id", "type", "created_at", "data"}
    (of_batch,) = [one.json["data"] for one in receiver.got if one.json["type"] == "batch.finished"]
    assert of_batch == {"batch_id": str(batch), "task": "classify", "total": 2}
    whole = b"".join(one.body for one in receiver.got)
    assert not [word for word in (b"secret", b"labels", made.secret.encode()) if word in whole]
    assert all(is_signed(one, made.secret) for one in receiver.got)


def test_a_batch_that_is_retried_is_told_again(house: House, database: Database, tenant: str) -> None:
    """Once when all its jobs have landed, not while failed ones run again, and once more when these have landed."""
    made = endpoint(database, tenant, "https://hooks.invalid/", [WebhookEvent.BATCH_FINISHED])
    batch = submit_texts(database, tenant, ["one", "two"])
    fail = "UPDATE jobs SET state = 'failed', finished_at = now(), failure_reason = 'refused'; UPDATE batches SET look_at = now()"
    house.run(fail)
    assert [webhooks.tell_of_batches(database) for _ in range(2)] == [1, 0]
    assert len(cancel.retry_failed(database, tenant, batch)) == 2
    assert webhooks.tell_of_batches(database) == 0
    house.run(fail)
    assert [webhooks.tell_of_batches(database) for _ in range(2)] == [1, 0]
    told = house.query("SELECT event FROM webhook_deliveries WHERE webhook_id = %s", made.webhook_id)
    assert told == [("batch.finished",)] * 2


def test_a_failure_is_tried_again_under_the_same_id(
    house: House, database: Database, tenant: str, receiver: Receiver, messenger: Messenger
) -> None:
    """500, a redirect that is not followed, then 204: three tries of one delivery, the same body, then it is settled."""
    made = endpoint(database, tenant, receiver.url)
    finished_job(database, tenant)
    receiver.answers += [500, 302]
    for _ in range(3):
        assert messenger.round() == 1
        everything_is_due(house)
    assert messenger.round() == 0
    assert len({(one.body, one.headers["webhook-id"]) for one in receiver.got}) == 1
    (told,) = webhooks.deliveries(database, tenant, made.webhook_id)
    assert (told.state, told.tries, told.status) == (DeliveryState.DELIVERED, 3, 204)
    assert webhooks.find(database, tenant, made.webhook_id).failing_since is None


def test_a_failing_endpoint_is_left_alone_for_a_while(
    house: House, database: Database, tenant: str, receiver: Receiver, messenger: Messenger
) -> None:
    """What else is to be told waits without using up tries, and comes when it answers again."""
    endpoint(database, tenant, receiver.url, [WebhookEvent.JOB_FINISHED])
    for _ in range(4):
        finished_job(database, tenant)
    receiver.answers += [503] * 2
    assert messenger.round() == 2
    assert messenger.round() == 0
    everything_is_due(house)
    while messenger.round():
        continue
    assert house.query("SELECT state, count(*) FROM webhook_deliveries WHERE tenant_id = %s GROUP BY 1", tenant) == [
        ("delivered", 4)
    ]


def test_after_a_day_it_is_given_up_and_the_endpoint_disabled(
    house: House, database: Database, tenant: str, receiver: Receiver, messenger: Messenger
) -> None:
    """The last try ends it; an endpoint that failed all the time is told nothing more, until it gets a new secret. What was
    given up can be replayed."""
    made = endpoint(database, tenant, receiver.url, [WebhookEvent.JOB_FINISHED])
    finished_job(database, tenant)
    tries = len(webhook_sending.WAITS) + 1
    receiver.answers += [500] * tries
    for _ in range(tries):
        messenger.round()
        everything_is_due(house)
        house.run("UPDATE webhooks SET failing_since = failing_since - interval '1 day'")
    (told,) = webhooks.deliveries(database, tenant, made.webhook_id)
    assert (told.state, told.tries, told.detail) == (DeliveryState.FAILED, tries, "answered 500")
    assert webhooks.find(database, tenant, made.webhook_id).disabled_reason == "answered 500"
    finished_job(database, tenant)
    assert len(webhooks.deliveries(database, tenant, made.webhook_id)) == 1
    webhooks.renew_secret(database, tenant, made.webhook_id)
    webhooks.replay(database, tenant, made.webhook_id, told.delivery_id)
    assert messenger.round() == 1
    assert webhooks.deliveries(database, tenant, made.webhook_id)[0].state is DeliveryState.DELIVERED
    assert len({one.headers["webhook-id"] for one in receiver.got}) == 1


def test_an_endpoint_that_says_that_it_is_gone_is_told_nothing_more(
    database: Database, tenant: str, receiver: Receiver, messenger: Messenger
) -> None:
    """410, as the standard says."""
    made = endpoint(database, tenant, receiver.url)
    finished_job(database, tenant)
    receiver.answers.append(410)
    messenger.round()
    assert webhooks.find(database, tenant, made.webhook_id).disabled_at is not None


def test_for_a_day_the_old_secret_signs_too(
    database: Database, tenant: str, receiver: Receiver, messenger: Messenger, house: House
) -> None:
    """A receiver changes over without missing one; afterwards the old one is worth nothing."""
    old = endpoint(database, tenant, receiver.url, [WebhookEvent.JOB_FINISHED])
    new = webhooks.renew_secret(database, tenant, old.webhook_id)
    for _ in range(2):
        finished_job(database, tenant)
        messenger.round()
        house.run("UPDATE webhooks SET previous_until = now() - interval '1 second'")
    first, second = receiver.got
    assert (is_signed(first, old.secret), is_signed(first, new.secret)) == (True, True)
    assert (is_signed(second, old.secret), is_signed(second, new.secret)) == (False, True)


def test_two_processes_do_not_tell_the_same(
    database: Database, tenant: str, receiver: Receiver, messenger: Messenger
) -> None:
    """Who takes a delivery has it for a while; a process that dies with it loses nothing: it is due again."""
    endpoint(database, tenant, receiver.url, [WebhookEvent.JOB_FINISHED])
    finished_job(database, tenant)
    with database.system() as one, database.system() as other:
        taken = stored.take_due(one, limit=10, each=10, lease_seconds=0)
        assert stored.take_due(other, limit=10, each=10, lease_seconds=60) == []
    assert len(taken) == 1  # and whoever took it has gone
    assert messenger.round() == 1
    assert receiver.types() == ["job.finished"]


def test_an_endpoint_that_never_stops_answering_is_cut_off(
    database: Database, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A letter at a time, for ever: the whole answer has one time limit."""
    monkeypatch.setattr(webhook_sending, "ANSWER_SECONDS", 0.5)
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not stop.wait(0.05):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        made = endpoint(database, tenant, f"http://127.0.0.1:{server.getsockname()[1]}/", [WebhookEvent.JOB_FINISHED])
        finished_job(database, tenant)
        messenger = Messenger(database, private=True)
        messenger.round()
        messenger.stop()
        stop.set()
        thread.join()
    (told,) = webhooks.deliveries(database, tenant, made.webhook_id)
    assert told.detail is not None
    assert told.detail.startswith("did not answer within")


def test_tries_go_on_for_a_day() -> None:
    """As the API's description says: from the first try to the last it is a day, give or take two hours; by then an endpoint
    that failed all the time has used up all patience and is disabled."""
    shortest = sum(webhook_sending.WAITS)
    longest = sum(wait * 1.1 for wait in webhook_sending.WAITS)
    assert 22 * 3600 < shortest < longest < 26 * 3600
    assert shortest > webhook_sending.PATIENCE_SECONDS
    for tries, wait in enumerate(webhook_sending.WAITS, start=1):
        assert wait <= (webhook_sending.wait_after(tries) or 0) <= wait * 1.1
    assert webhook_sending.wait_after(len(webhook_sending.WAITS) + 1) is None
