"""Sign in and out: a session per sign-in, in a cookie that no script reads.

The form is guarded by a token in a cookie and in the form (there is no session yet that could keep one) and by what the
browser says of where it came from.
"""

import hmac
import re
import secrets
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.status import HTTP_303_SEE_OTHER, HTTP_403_FORBIDDEN, HTTP_429_TOO_MANY_REQUESTS

from jobs import access
from jobs.access import SESSION_SECONDS
from schemas.access import Role
from web import page_errors
from web.access import Anybody, SignInNeeded, check_csrf, cookie_name
from web.pages import page
from web.sent import FROM_OUR_PAGES, SentForm, texts
from web.site import Site, TheSite

FORM_COOKIE = "assay_signin"
FORM_SECONDS = 3600
"""A sign-in page that was left open for longer is shown anew."""
TRIES_PER_ADDRESS = 60
"""Per minute, right and wrong ones: an office may come in through one address, or through our own proxy."""
TRIES_PER_LOGIN = 10
"""Per minute from everywhere; after five wrong ones the account itself waits (storage.access)."""
_HOMES = {Role.REVIEWER: "/desk", Role.OPERATOR: "/operators"}
_OWN_PATH = re.compile(r"/(?![/\\])[^\\\s\x00-\x20\x7f]{0,2000}")
"""A path on this host: browsers take ``//host`` and ``/\\host`` for other hosts, and drop control characters first."""

router = APIRouter(include_in_schema=False, dependencies=FROM_OUR_PAGES)


@router.get("/")
def home(signed_in: Anybody) -> Response:
    """To the pages of the role."""
    return _to(_HOMES[signed_in.principal.role])


@router.get("/signin")
def sign_in_page(request: Request, site: TheSite, next: str = "") -> Response:  # noqa: A002 - as addresses have it
    """The form."""
    return _form(request, site, next_url=next)


@router.post("/signin")
def sign_in(request: Request, site: TheSite, form: SentForm) -> Response:
    """Check login and password, or a key in place of the password."""
    sent = {name: values[-1] for name, values in texts(form).items()}
    login, next_url = sent.get("login", "").strip(), sent.get("next", "")
    if not _is_our_form(request, site, sent.get("csrf", "")):
        again = "This page was open for too long, or your browser keeps no cookies. Please try again."
        return _form(request, site, login=login, next_url=next_url, error=again, status=HTTP_403_FORBIDDEN)
    if not _may_try(site, request, login):
        wait = "Too many tries. Wait a minute and try again."
        return _form(request, site, login=login, next_url=next_url, error=wait, status=HTTP_429_TOO_MANY_REQUESTS)
    token = access.sign_in(site.database, login, sent.get("password", ""))
    found = None if token is None else access.by_session(site.database, token)
    if token is None or found is None:
        wrong = (
            "Login and password do not go together, the key is not valid here, or the account waits after wrong tries."
        )
        return _form(request, site, login=login, next_url=next_url, error=wrong, status=HTTP_403_FORBIDDEN)
    _end_session(request, site)
    answer = _to(own_path(next_url) or _HOMES[found.principal.role])
    _keep(answer, site, cookie_name(_is_secure(site)), token, seconds=int(SESSION_SECONDS))
    _drop(answer, site, _form_cookie(site))
    return answer


@router.post("/signout")
def sign_out(request: Request, site: TheSite, signed_in: Anybody, form: SentForm) -> Response:
    """End the session."""
    check_csrf(signed_in, texts(form).get("csrf", [""])[-1])
    _end_session(request, site)
    answer = _to("/signin")
    answer.headers["Clear-Site-Data"] = '"cache"'  # the back button shows no document
    _drop(answer, site, cookie_name(_is_secure(site)))
    return answer


def to_sign_in(needed: SignInNeeded) -> Response:
    """Where nobody is signed in: to the form, and from there back."""
    target = own_path(needed.next_url)
    return _to(f"/signin?next={quote(target, safe='/')}" if target and target != "/" else "/signin")


def own_path(target: str) -> str | None:
    """An address on this host to go on to; None: it is none."""
    return target if _OWN_PATH.fullmatch(target) else None


def install(app: FastAPI) -> None:
    """Errors of pages as pages."""
    page_errors.install(app, to_sign_in)


def _form(
    request: Request, site: Site, *, login: str = "", next_url: str = "", error: str | None = None, status: int = 200
) -> Response:
    token = request.cookies.get(_form_cookie(site)) or secrets.token_urlsafe(32)
    answer = page(
        request, "signin.html", status_code=status,
        token=token, login=login[:100], next_url=own_path(next_url) or "", error=error,
    )  # fmt: skip
    _keep(answer, site, _form_cookie(site), token, seconds=FORM_SECONDS)
    return answer


def _is_our_form(request: Request, site: Site, token: str) -> bool:
    kept = request.cookies.get(_form_cookie(site), "")
    return len(kept) > 20 and hmac.compare_digest(kept.encode(), token.encode(errors="replace"))


def _may_try(site: Site, request: Request, login: str) -> bool:
    address = request.client.host if request.client else "unknown"
    by_address = site.rates.count(f"signin-from:{address}", TRIES_PER_ADDRESS).allowed
    return by_address and (not login or site.rates.count(f"signin-as:{login[:100]}", TRIES_PER_LOGIN).allowed)


def _end_session(request: Request, site: Site) -> None:
    old = request.cookies.get(cookie_name(_is_secure(site)))
    if old:
        access.sign_out(site.database, old)


def _to(target: str) -> RedirectResponse:
    return RedirectResponse(target, status_code=HTTP_303_SEE_OTHER)


def _keep(answer: Response, site: Site, name: str, value: str, *, seconds: int) -> None:
    """Lax: a link in a mail leads to the page and not to the sign-in; forms of other sites bring no cookie."""
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=_is_secure(site), httponly=True, samesite="lax")


def _drop(answer: Response, site: Site, name: str) -> None:
    answer.delete_cookie(name, path="/", secure=_is_secure(site), httponly=True, samesite="lax")


def _form_cookie(site: Site) -> str:
    return f"__Host-{FORM_COOKIE}" if _is_secure(site) else FORM_COOKIE


def _is_secure(site: Site) -> bool:
    return site.settings.web_secure_cookies
