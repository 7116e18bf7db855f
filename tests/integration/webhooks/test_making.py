"""Webhooks are made, shown and deleted by whoever may, and tell nobody else's work."""

import pytest

from jobs import webhooks
from jobs.cancel import NotFound
from jobs.tenancy import create_tenant
from jobs.webhooks import FOR_PRODUCERS
from schemas.access import Role
from schemas.ids import new_id
from schemas.webhook import WebhookEvent
from storage.database import Database
from tests.api_world import client
from tests.house import House, submit_text
from tests.webhook_world import endpoint, finished_job

pytestmark = pytest.mark.usefixtures("clean")


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


def test_a_producer_may_be_told_of_its_own_work_only() -> None:
    """The list of what is told to producers is closed: a new event is the operators' until somebody says otherwise."""
    assert set(FOR_PRODUCERS) == set(WebhookEvent) - {WebhookEvent.ALERT_FIRED}
