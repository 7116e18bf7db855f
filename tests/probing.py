"""Everybody who might ask a route of the web, asking, and what tells one answer from another."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from jobs import access
from jobs.tenancy import create_key
from schemas.access import Role
from schemas.ids import new_id
from storage.database import Database
from tests.access_table import Who
from tests.api_world import Answer, Api
from tests.house import House
from tests.visitor import SESSION
from web.signing_in import FORM_COOKIE

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TOKEN = "t" * 43
"""Of the sign-in form, in its cookie and in the form: whoever sends both had the page."""
_DIFFERENT_EACH_TIME = {"date", "assay-request-id", "ratelimit", "ratelimit-policy"}
"""The rate of the asking key is its own affair; who has none has no such headers."""
_HIDDEN = re.compile(rb'name="csrf" value="[^"]*"')
_COOKIE = re.compile(r"=[^;]{20,}")


@dataclass(frozen=True)
class Asker:
    """Somebody, with all that they can show: a key, or the token and CSRF of a session."""

    who: Who
    port: int
    key: str | None = None
    session: str = ""
    csrf: str = ""

    def ask(self, method: str, address: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request; no redirect is followed."""
        cookies = f"{SESSION}={self.session}; {FORM_COOKIE}={TOKEN}"
        return Api(self.port, self.key).ask(method, address, body, {"Cookie": cookies, **(headers or {})})


@dataclass(frozen=True)
class Owner:
    """A tenant with its people."""

    house: House
    database: Database
    port: int
    tenant: str
    people: dict[Who, Asker]

    @property
    def api(self) -> Api:
        """Its producer."""
        return Api(self.port, self.people[Who.PRODUCER_KEY].key)

    @property
    def reviewer(self) -> Api:
        """The reviewer whose session it is too: both are one person."""
        return Api(self.port, self.people[Who.REVIEWER_KEY].key)

    def state(self) -> dict[str, Any]:
        """All of the tenant's rows that a stranger might have changed."""
        tables = ("jobs", "batches", "reviews", "second_reviews", "events", "answers", "webhooks", "webhook_deliveries")
        rows = (f"(SELECT json_agg(t ORDER BY t::text) FROM {one} t WHERE tenant_id = %s)" for one in tables)
        (found,) = self.house.query(f"SELECT {', '.join(rows)}", *[self.tenant] * len(tables))
        return dict(zip(tables, found, strict=True))


def owner_of(house: House, database: Database, port: int, tenant: str) -> Owner:
    """A tenant with new keys and sessions; those of another tenant have the same names."""
    keys = {role: create_key(database, tenant, f"a {role.value}", role.value)[1] for role in Role}
    people: dict[Who, Asker] = {}
    for who in Who:
        if who.role is None:
            continue
        key = keys[who.role]
        if who.has_key:
            people[who] = Asker(who, port, key)
            continue
        token = access.sign_in(database, "", key)
        assert token is not None
        signed_in = access.by_session(database, token)
        assert signed_in is not None
        people[who] = Asker(who, port, None, token, signed_in.csrf)
    return Owner(house, database, port, tenant, people)


def nobodies(house: House, database: Database, port: int, tenant: str) -> dict[str, Asker]:
    """All who show nothing that is worth anything any more."""
    names = ("revoked", "expired", "too old", "ended")
    keys = {name: create_key(database, tenant, name, Role.OPERATOR.value) for name in names}
    sessions = {name: str(access.sign_in(database, "", key)) for name, (_, key) in keys.items()}
    access.sign_out(database, sessions["ended"])
    house.run(
        f"UPDATE api_keys SET revoked_at = now() WHERE id = '{keys['revoked'][0]}';"
        f"UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = '{keys['expired'][0]}';"
        f"UPDATE sessions SET ends_at = now() - interval '1 second' WHERE key_id = '{keys['too old'][0]}'"
    )
    return {
        "nothing": Asker(Who.NOBODY, port),
        "an unknown key": Asker(Who.NOBODY, port, "assay_" + "x" * 43),
        "a key that is none": Asker(Who.NOBODY, port, "ü"),
        "a session made up": Asker(Who.NOBODY, port, session="x" * 43),
        **{f"the key: {name}": Asker(Who.NOBODY, port, keys[name][1]) for name in ("revoked", "expired")},
        **{f"the session: {name}": Asker(Who.NOBODY, port, session=token) for name, token in sessions.items()},
    }


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Every method and path that the application knows, mounted parts as one path each."""
    found = []
    for one in iter_route_contexts(app.routes):
        path = re.sub(r":[a-z]+}", "}", one.path or "")
        found += [(method, path) for method in sorted(one.methods)] if one.methods else [("GET", f"{path}/{{path}}")]
    return found


@dataclass(frozen=True)
class Probe:
    """How a route is asked for.

    Attributes:
        ids: makes what the request names, for a tenant.
        body: sent as JSON, or as it is.
        form: sent as a form, with the ids in it and the CSRF token of the asker.
        statuses: of an answer.
    """

    ids: Callable[[Owner], dict[str, str]] = lambda _owner: {}
    body: Any = None
    form: dict[str, str] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""
    statuses: frozenset[int] = frozenset({200, 201, 204, 303})

    def ask(self, asker: Asker, route: str, ids: Mapping[str, str]) -> Answer:
        """One request as the route wants it."""
        method, path = route.split(" ")
        address = path.format(**ids) + (f"?{self.query}" if self.query else "")
        if self.form is None:
            return asker.ask(method, address, self.body, self.headers)
        sent = {"csrf": asker.csrf, **{name: value.format(**ids) for name, value in self.form.items()}}
        return asker.ask(method, address, urlencode(sent).encode(), FORM)


def seen(answer: Answer, ids: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
    """All that tells one answer from another, without what was asked for and without secrets made for this answer."""
    headers = {name: value for name, value in answer.headers.items() if name not in _DIFFERENT_EACH_TIME}
    if "set-cookie" in headers:
        headers["set-cookie"] = _COOKIE.sub("=...", headers["set-cookie"])
    body = _HIDDEN.sub(b"", answer.body)
    for name, value in ids.items():
        headers = {header: said.replace(value, name) for header, said in headers.items()}
        body = body.replace(value.encode(), name.encode())
    if ids and "content-length" in headers:
        headers["content-length"] = str(len(body))
    return answer.status, headers, body


def ids_of_nobody(ids: Mapping[str, str]) -> dict[str, str]:
    """Names of the same kind, of what does not exist."""
    others = {"tenant": f"t{new_id().hex[-12:]}", "cluster": "0" * 64, "path": "nothing.css"}
    return {name: others.get(name) or str(uuid4()) for name in ids}
