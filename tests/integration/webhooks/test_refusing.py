"""No webhook leads into the house: addresses are refused when they are given, and again when they are used."""

import socket
from typing import Any

import pytest

from jobs import webhooks
from jobs.webhook_address import AddressRefused, check_url, look_up
from jobs.webhooks import WebhookRefused
from schemas.webhook import DeliveryState, WebhookEvent
from storage.database import Database
from tests.house import House
from tests.webhook_world import BOTH, Receiver, endpoint, finished_job
from workers.webhooks import Messenger

pytestmark = pytest.mark.usefixtures("clean")


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
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_named: found)
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
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
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
