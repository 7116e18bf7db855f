"""Who asks, as dependencies of routes: keys for the API, sessions for pages.

What somebody may not see looks like what does not exist: a role that may not use a route gets the same answer as an address
that is unknown.
"""

import hmac
from collections.abc import Callable, Iterator
from typing import Annotated

from fastapi import Depends, Form, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import URL

from jobs import access
from jobs.access import SignedIn
from schemas.access import Principal, Role
from web.problems import FieldError, Kind, Problem
from web.site import TheSite

COOKIE = "assay_session"
_bearer = HTTPBearer(
    auto_error=False, description="An API key, made with `assay keys create`.", bearerFormat="assay_..."
)


class SignInNeeded(Exception):
    """A page was asked for by nobody: they are led to the sign-in first."""

    def __init__(self, next_url: str) -> None:
        self.next_url = next_url
        super().__init__(next_url)


def caller_of(*roles: Role) -> Callable[..., Principal]:
    """A dependency: whoever has the key that was sent, if it is of one of these roles. Counts the request.

    It comes first: what else is wrong with a request is told to those only who may make it.
    """

    def caller(
        site: TheSite,
        request: Request,
        sent: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Principal:
        principal = access.by_key(site.database, sent.credentials) if sent is not None else None
        if principal is None:
            raise Problem(Kind.UNAUTHENTICATED, headers={"WWW-Authenticate": "Bearer"})
        count = site.rates.count(
            str(principal.key_id), principal.requests_per_minute or site.settings.web_requests_per_minute
        )
        if not count.allowed:
            raise Problem(Kind.RATE_LIMITED, headers=count.headers)
        if principal.role not in roles:  # without the headers of the count: an address that is unknown has none
            raise Problem(Kind.NOT_FOUND)
        request.state.answer_headers = count.headers
        request.state.principal = principal
        _refuse_unknown_parameters(request)
        return principal

    return caller


def _refuse_unknown_parameters(request: Request) -> None:
    """A mistyped filter that is ignored would show more than was asked for."""
    known = set(_parameters_of(request.scope["route"].dependant))
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        errors = [FieldError(path=name[:100], detail="there is no such parameter") for name in unknown[:20]]
        there_are = f"; there are: {', '.join(sorted(known))}" if known else ""
        raise Problem(Kind.INVALID_REQUEST, f"Unknown query parameters{there_are}.", errors=errors)


def _parameters_of(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for needed in dependant.dependencies:
        yield from _parameters_of(needed)


Producer = Annotated[Principal, Depends(caller_of(Role.PRODUCER))]
Reviewer = Annotated[Principal, Depends(caller_of(Role.REVIEWER))]
Operator = Annotated[Principal, Depends(caller_of(Role.OPERATOR))]
ProducerOrOperator = Annotated[Principal, Depends(caller_of(Role.PRODUCER, Role.OPERATOR))]


def signed_in_as(*roles: Role) -> Callable[..., SignedIn]:
    """A dependency: who is signed in, if of one of these roles. Others find no such page."""

    def signed_in(site: TheSite, request: Request) -> SignedIn:
        token = request.cookies.get(cookie_name(site.settings.web_secure_cookies))
        found = access.by_session(site.database, token) if token else None
        if found is None:
            raise SignInNeeded(_path_of(request.url) if request.method == "GET" else "/")
        request.state.principal = found.principal
        if found.principal.role not in roles:
            raise Problem(Kind.NOT_FOUND)
        return found

    return signed_in


AtDesk = Annotated[SignedIn, Depends(signed_in_as(Role.REVIEWER))]
AtOperators = Annotated[SignedIn, Depends(signed_in_as(Role.OPERATOR))]
Anybody = Annotated[SignedIn, Depends(signed_in_as(Role.REVIEWER, Role.OPERATOR))]


def check_csrf(signed_in: SignedIn, csrf: str) -> None:
    """Refuse a form that no page of this session made.

    Raises:
        Problem: as for a page that is unknown.
    """
    if not hmac.compare_digest(signed_in.csrf.encode(), csrf.encode(errors="replace")):
        raise Problem(Kind.NOT_FOUND)


CsrfField = Annotated[str, Form(alias="csrf", max_length=100)]
"""The hidden field of every form."""


def cookie_name(is_secure: bool) -> str:
    """With the prefix by which browsers bind it to this host, where it goes over TLS alone."""
    return f"__Host-{COOKIE}" if is_secure else COOKIE


def _path_of(url: URL) -> str:
    return url.path + (f"?{url.query}" if url.query else "")
