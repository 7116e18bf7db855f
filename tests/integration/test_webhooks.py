"""Webhooks: who asked is told what has ended, at least once, signed, and nothing leads into the house."""

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest

from jobs import webhook_address, webhook_sending, webhooks
from jobs.cancel import NotFound, cancel
from jobs.tenancy import create_tenant
from jobs.webhook_address import AddressRefused, check_url, look_up
from jobs.webhooks import FOR_PRODUCERS, WebhookRefused
from schemas.access import Role
from schemas.ids import new_id
from schemas.webhook import DeliveryState, NewWebhook, WebhookEvent
from storage import webhooks as stored
from storage.database import Database
from tests.api_world import client, serving
from tests.house import House, Workers, eventually, landed, submit_text, submit_texts
from workers.webhooks import Messenger

pytestmark = pytest.mark.usefixtures("clean")
BOTH = [WebhookEvent.JOB_FINISHED, WebhookEvent.BATCH_FINISHED]


@dataclass
class Received:
    """One notice as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The notice."""
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """An endpoint that answers as it is told to.

    Attributes:
        answers: statuses of the next answers; then 204.
    """

    url: str
    got: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def types(self) -> list[str]:
        """What was told, in the order in which it came."""
        return [one.json["type"] for one in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A real HTTP server."""
    found = Receiver("")

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append(Received({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(found.answers.pop(0) if found.answers else 204)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}/hook?a=b"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def messenger(database: Database) -> Iterator[Messenger]:
    """Sends when a test says so."""
    messenger = Messenger(database, private=True)
    yield messenger
    messenger.stop()


def endpoint(database: Database, tenant: str, url: str, events: list[WebhookEvent] | None = None) -> NewWebhook:
    """An endpoint that may be anywhere."""
    return webhooks.create(database, tenant, url, events or BOTH, actor="a test", private=True)


def finished_job(database: Database, tenant: str) -> UUID:
    """A job that is over."""
    job = submit_text(database, tenant, "x")
    cancel(database, tenant, job)
    return job


def everything_is_due(house: House) -> None:
    """As if the wait of every try were over."""
    house.run("UPDATE webhook_deliveries SET next_at = now() WHERE state = 'pending'")
    house.run("UPDATE webhooks SET resume_at = NULL")


def is_signed(received: Received, secret: str) -> bool:
    """Whether one of the signatures is of this secret, checked as the standard says."""
    signed = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode() + received.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return wanted in received.headers["webhook-signature"].split(" ")


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


def test_what_was_rolled_back_is_not_told(database: Database, tenant: str) -> None:
    """A notice is written with the end of its job, and only with it."""
    made = endpoint(database, tenant, "http://127.0.0.1/")
    job = submit_text(database, tenant, "x")

    def end_and_fail() -> None:
        with database.tenant(tenant) as connection:
            connection.exec_driver_sql(
                "UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE id = %(id)s", {"id": job}
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        end_and_fail()
    assert webhooks.deliveries(database, tenant, made.webhook_id) == []


def test_other_tenants_are_told_nothing(house: House, database: Database, tenant: str) -> None:
    """Nor can they see, change or delete the endpoint."""
    other = f"t{new_id().hex[-12:]}"
    create_tenant(database, other, "another")
    theirs, mine = (endpoint(database, one, "http://127.0.0.1/") for one in (other, tenant))
    finished_job(database, tenant)
    assert len(webhooks.deliveries(database, tenant, mine.webhook_id)) == 1
    assert webhooks.deliveries(database, other, theirs.webhook_id) == []
    for use in (webhooks.find, webhooks.delete, webhooks.renew_secret, webhooks.deliveries):
        with pytest.raises(NotFound):
            use(database, other, mine.webhook_id)


def test_alerts_are_told_to_operators_endpoints_only(house: House, database: Database, port: int, tenant: str) -> None:
    """A producer can neither ask for them, nor see an endpoint that is told of them."""
    producer, operator = (client(database, port, tenant, role) for role in (Role.PRODUCER, Role.OPERATOR))
    body = {"url": "https://hooks.invalid/", "events": ["batch.finished", "alert.fired"]}
    refused = producer.post("/v1/webhooks", body).problem(422, "invalid-input")
    assert refused["errors"][0]["path"] == "events.1"
    made = operator.post("/v1/webhooks", body)
    assert made.status == 201
    hook = made.json["webhook_id"]
    assert producer.get("/v1/webhooks").json == {"webhooks": []}
    for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/secret"), ("GET", "/deliveries")]:
        producer.ask(method, f"/v1/webhooks/{hook}{path}").problem(404, "not-found")
    webhooks.tell_of_alert(database, {"rule": "too many schema failures", "jobs": []})
    (told,) = operator.get(f"/v1/webhooks/{hook}/deliveries").json["deliveries"]
    assert (told["event"], told["data"]["rule"]) == ("alert.fired", "too many schema failures")


@pytest.fixture
def port(house: House) -> Iterator[int]:
    """Of the application."""
    with serving(house) as port:
        yield port


def test_an_endpoint_is_made_shown_and_deleted_over_http(database: Database, port: int, tenant: str) -> None:
    """Its secret is shown once; what leads into the house is refused, by its field."""
    api = client(database, port, tenant)
    made = api.post("/v1/webhooks", {"url": "https://hooks.invalid/", "events": ["job.finished"]})
    assert made.json["secret"].startswith("whsec_")
    address = made.headers["location"]
    assert "secret" not in api.get(address).json
    renewed = api.post(f"{address}/secret").json["secret"]
    assert renewed not in {None, made.json["secret"]}
    refused = api.post("/v1/webhooks", {"url": "https://169.254.169.254/latest", "events": ["job.finished"]})
    assert refused.problem(422, "invalid-input")["errors"][0]["path"] == "url"
    assert api.delete(address).status == 200
    api.get(address).problem(404, "not-found")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "https://", "https://user:pass@example.com/", "https://example.com/#a",
        "https://example.com:0/", "https://example.com:99999/", "https://exa mple.com/", "https://example.com/\r\nHost: x",
        "https://example.com\\@127.0.0.1/", "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.8/", "https://localhost/",
        "https://192.168.1.1/", "https://172.16.0.1/", "https://169.254.169.254/", "https://100.64.0.1/", "https://0.0.0.0/",
        "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[fe80::1]/",
        "https://[fd00::1]/", "https://224.0.0.1/", "https://db.internal/", "https://ümlaut.example/", "x" * 3000,
    ],
)  # fmt: skip
def test_addresses_that_lead_nowhere_good_are_refused_at_once(database: Database, tenant: str, url: str) -> None:
    """Wrong, or private in any of the ways in which an address can be written."""
    with pytest.raises(WebhookRefused) as refused:
        webhooks.create(database, tenant, url, BOTH, actor="a test")
    assert refused.value.path == "url"


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "017700000001", "localtest"])
def test_a_name_that_leads_into_the_house_is_refused_when_it_is_looked_up(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Odd spellings of addresses, and names whose answer is private: they pass as names, and are refused as addresses."""
    if host == "localtest":
        found = [(2, 1, 6, "", (ip, 443)) for ip in ("93.184.215.14", "10.0.0.1")]
        monkeypatch.setattr(webhook_address.socket, "getaddrinfo", lambda *_arguments, **_named: found)
    check_url(f"https://{host}/", private=False)
    with pytest.raises(AddressRefused, match="not public"):
        look_up(f"https://{host}/", private=False)


def test_what_was_checked_is_what_is_connected_to(
    database: Database, tenant: str, receiver: Receiver, messenger: Messenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is looked up once for each try: one that answers something else the next moment leads nowhere else."""
    looked_up: list[str] = []
    real = socket.getaddrinfo
    port = int(receiver.url.partition("127.0.0.1:")[2].partition("/")[0])

    def rebinding(host: str, *arguments: Any, **named: Any) -> Any:
        if host != "rebinding.example":
            return real(host, *arguments, **named)
        looked_up.append(host)
        return [(2, 1, 6, "", ("127.0.0.1" if len(looked_up) == 1 else "127.0.0.2", port))]

    endpoint(database, tenant, f"http://rebinding.example:{port}/hook", [WebhookEvent.JOB_FINISHED])
    finished_job(database, tenant)
    monkeypatch.setattr(webhook_address.socket, "getaddrinfo", rebinding)
    messenger.round()
    monkeypatch.undo()
    assert looked_up == ["rebinding.example"]
    assert receiver.got[0].headers["host"] == f"rebinding.example:{port}"


def test_a_private_address_behind_a_name_is_not_sent_to(
    database: Database, tenant: str, receiver: Receiver, house: House
) -> None:
    """An endpoint that was made when it was allowed is refused when it no longer is; the delivery says why."""
    made = endpoint(database, tenant, receiver.url.replace("http://", "https://"), [WebhookEvent.JOB_FINISHED])
    finished_job(database, tenant)
    strict = Messenger(database, private=False)
    strict.round()
    strict.stop()
    (told,) = webhooks.deliveries(database, tenant, made.webhook_id)
    assert (told.state, told.detail, receiver.got) == (
        DeliveryState.PENDING, "leads to an address that is not public", [],
    )  # fmt: skip


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


def test_a_producer_may_be_told_of_its_own_work_only() -> None:
    """The list of what is told to producers is closed: a new event is the operators' until somebody says otherwise."""
    assert set(FOR_PRODUCERS) == set(WebhookEvent) - {WebhookEvent.ALERT_FIRED}
