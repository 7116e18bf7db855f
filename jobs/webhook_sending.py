"""Send one delivery: signed as Standard Webhooks says, to an address that was checked, and no further."""

import base64
import hashlib
import hmac
import http.client
import json
import random
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from jobs.webhook_address import AddressRefused, Target, look_up
from storage import webhooks
from storage.database import Database
from storage.webhooks import Outgoing

WAITS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 21600.0)
"""Seconds between tries: a day in all, 23.6 hours and up to a tenth more. The first six are those that Standard Webhooks proposes;
the last one ends the day."""
PATIENCE_SECONDS = 20 * 3600.0
"""An endpoint that has failed for longer when a delivery is given up is disabled."""
LONGEST_PAUSE_SECONDS = 60.0
"""While an endpoint fails, nothing else is sent to it for the time of the wait, or this."""
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0
"""For everything: who answers a letter at a time is cut off too."""
LEASE_SECONDS = 60.0
"""Longer than a try takes, looking up the name included."""
MOST_BYTES = 16 * 1024
"""Read of an answer, and not kept."""
_GONE = 410


@dataclass(frozen=True)
class Reply:
    """What came of a try.

    Attributes:
        status: None: nobody answered.
        detail: why it is no success, in our words: what the other side writes is not kept.
    """

    status: int | None
    detail: str

    @property
    def arrived(self) -> bool:
        """Whether it was taken."""
        return self.status is not None and 200 <= self.status < 300


def deliver(database: Database, tenant_id: str, delivery_id: UUID, *, private: bool) -> Reply | None:
    """Try one delivery that was taken for this, and write down what came of it. None: it is not to be sent any more."""
    with database.tenant(tenant_id) as connection:
        outgoing = webhooks.outgoing(connection, delivery_id)
    if outgoing is None:
        return None
    reply = _sent(outgoing, private=private)
    with database.tenant(tenant_id) as connection:
        if reply.status is not None and reply.arrived:
            webhooks.delivered(connection, delivery_id, reply.status)
        else:
            wait = wait_after(outgoing.tries)
            webhooks.failed(
                connection,
                delivery_id,
                status=reply.status,
                detail=reply.detail,
                wait_seconds=wait,
                pause_seconds=min(wait or LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS),
                patience_seconds=PATIENCE_SECONDS,
                gone=reply.status == _GONE,
            )
    return reply


def wait_after(tries: int) -> float | None:
    """Seconds until the next try; None: that was the last. Up to a tenth more, so that what failed together comes back apart."""
    return None if tries > len(WAITS) else WAITS[tries - 1] * random.uniform(1.0, 1.1)  # noqa: S311 - spread, not secrecy


def body_of(outgoing: Outgoing) -> bytes:
    """What is sent: the same with every try."""
    content = {
        "id": str(outgoing.id),
        "type": outgoing.event,
        "created_at": outgoing.created_at.isoformat(),
        "data": outgoing.data,
    }
    return json.dumps(content, separators=(",", ":")).encode()


def signatures(outgoing: Outgoing, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``: one for each secret that is valid."""
    signed = f"{outgoing.id}.{timestamp}.".encode() + body
    known = [secret for secret in (outgoing.secret, outgoing.previous_secret) if secret is not None]
    return " ".join(f"v1,{_signature(secret, signed)}" for secret in known)


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.partition("_")[2])
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _sent(outgoing: Outgoing, *, private: bool) -> Reply:
    body, now = body_of(outgoing), int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Assay-Webhooks/1",
        "webhook-id": str(outgoing.id),
        "webhook-timestamp": str(now),
        "webhook-signature": signatures(outgoing, now, body),
    }
    try:
        target = look_up(outgoing.url, private=private)
        status = _post(target, body, headers)
    except AddressRefused as refusal:
        return Reply(None, str(refusal))
    except ssl.SSLError:
        return Reply(None, "its certificate or TLS is not accepted")
    except TimeoutError:
        return Reply(None, f"did not answer within {ANSWER_SECONDS:.0f} s")
    except (OSError, http.client.HTTPException, ValueError):
        return Reply(None, "the connection failed or broke")
    redirected = " (redirects are not followed)" if 300 <= status < 400 else ""
    return Reply(status, f"answered {status}{redirected}")


def _post(target: Target, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer.

    Raises:
        TimeoutError: it took too long in all.
    """
    connection = _Pinned(target)
    too_late = threading.Event()

    def cut() -> None:
        too_late.set()
        connection.cut()

    timer = threading.Timer(ANSWER_SECONDS, cut)
    timer.start()
    try:
        connection.request("POST", target.path, body, {"Host": target.host_header, **headers})
        response = connection.getresponse()
        response.read(MOST_BYTES)
        if too_late.is_set():  # what was cut off can look whole: headers end with the connection
            raise TimeoutError
    except (OSError, http.client.HTTPException):
        if too_late.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
        connection.close()
    return response.status


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was looked up and checked before, under the name that it was looked up by."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.host, target.port, timeout=ANSWER_SECONDS)
        self._target = target

    def connect(self) -> None:
        """Connect; TLS checks the certificate for the name."""
        self.sock = socket.create_connection((self._target.ip, self._target.port), timeout=CONNECT_SECONDS)
        self.sock.settimeout(ANSWER_SECONDS)
        if self._target.is_tls:
            self.sock = _tls().wrap_socket(self.sock, server_hostname=self._target.host)

    def cut(self) -> None:
        """End it from another thread: whoever reads from it meets its end."""
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it has ended by itself


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
