"""Whether a form was sent by a page of ours, as far as the browser says so. Tokens in the forms decide; this stands before them."""

from urllib.parse import urlsplit

from fastapi import Request

from web.problems import Kind, Problem
from web.site import TheSite


def refuse_other_origins(request: Request, site: TheSite) -> None:
    """A dependency of every route that changes something for a signed-in browser.

    Raises:
        Problem: another site sent it; as for an address that is unknown.
    """
    fetched_from = request.headers.get("sec-fetch-site")
    if fetched_from is not None and fetched_from not in ("same-origin", "none"):
        raise Problem(Kind.NOT_FOUND)
    origin = request.headers.get("origin")
    if origin is None:
        return
    ours = {request.headers.get("host", "").lower()}
    if site.settings.web_public_url is not None:
        ours.add(urlsplit(site.settings.web_public_url).netloc.lower())
    if urlsplit(origin).netloc.lower() not in ours - {""}:
        raise Problem(Kind.NOT_FOUND)
