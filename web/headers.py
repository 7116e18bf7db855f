"""Headers that every answer carries, so that no page can be framed, sniffed or made to run what it does not serve; and the
answer to a mistake of ours, so that it carries them too."""

import logging
import traceback

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.ids import new_id

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing from elsewhere. Images of our pages may be data: URLs (masks in the stylesheet)."""
_ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_HSTS = "max-age=31536000"
REQUEST_ID = "Assay-Request-Id"

_log = logging.getLogger(__name__)


class SecurityHeaders:
    """Adds them. What is not a static file is not kept by any cache: it is somebody's.

    Routes may leave more headers in ``request.state.answer_headers``: they stand on errors too.
    """

    def __init__(self, app: ASGIApp, *, hsts: bool) -> None:
        self._app = app
        self._headers = {**_ALWAYS, **({"Strict-Transport-Security": _HSTS} if hsts else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_static = scope["path"].startswith("/static/")
        state = scope.setdefault("state", {})
        state["request_id"] = request_id = str(new_id())
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in {**self._headers, **state.get("answer_headers", {})}.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "public, max-age=3600" if is_static else "no-store")
                headers[REQUEST_ID] = request_id
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            # Not the error's own words: they may repeat a document.
            where = "".join(traceback.format_tb(error.__traceback__))
            _log.error("request %s: %s\n%s", request_id, type(error).__name__, where)
            if started:
                raise Interrupted from None
            answer = scope["app"].exception_handlers[Exception](Request(scope), error)
            await answer(scope, receive, sending)


class Interrupted(Exception):
    """A mistake was made when part of the answer was out: the connection is cut, which tells the client."""
