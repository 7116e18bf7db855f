"""The scripted provider's addresses: the API's own, and those that direct it from any language.

``POST /_script`` adds rules; ``POST``/``DELETE /_storm`` and ``/_limit`` begin and end these; ``POST /_reset`` forgets;
``GET /_invoice``, ``/_arrivals`` and ``/_requests`` tell what was.
"""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from stack.scripted import wire
from stack.scripted.limiter import Limit
from stack.scripted.performance import Performance, Step
from stack.scripted.script import Script, ScriptError


def respond(script: Script, target: str, headers: dict[str, str], body: bytes) -> Performance:
    """What goes out for one HTTP request.

    Args:
        target: method and path, e.g. ``POST /v1/messages``.
        headers: by lower-case name.
    """
    try:
        if target == "POST /v1/messages":
            return script.perform(wire.read_request(headers, body))
        if target == "POST /v1/messages/count_tokens":
            wire.read_request(headers, body, counting=True)
            return _json({"input_tokens": len(body) // 3 + 1})
        if target not in _DIRECTIONS:
            raise wire.Refused(404, f"{target}: not found")
        return _json(_DIRECTIONS[target](script, body))
    except wire.Refused as refused:
        return _json_bytes(wire.error_body(refused.status, refused.message, "req_refused"), refused.status)
    except ScriptError as error:
        return _json({"error": str(error)}, 400)


def _invoice(script: Script, _body: bytes) -> object:
    return [charge.as_row() for charge in script.invoice]


def _arrivals(script: Script, _body: bytes) -> object:
    return [arrival._asdict() for arrival in script.arrivals()]


def _add_rules(script: Script, body: bytes) -> object:
    document = _object(body)
    if not isinstance(document.get("rules"), list):
        raise ScriptError('send {"rules": [...]}')
    script.add_rules([rule if isinstance(rule, dict) else {} for rule in document["rules"]])
    return {}


def _begin_storm(script: Script, body: bytes) -> object:
    document = _object(body)
    if unknown := document.keys() - {"plays", "share", "seed"}:
        raise ScriptError(f"{', '.join(sorted(unknown))}: use plays, share and seed")
    script.begin_storm(document.get("plays"), document.get("share", 1.0), document.get("seed"))
    return {}


def _end_storm(script: Script, _body: bytes) -> object:
    script.storm = None
    return {}


def _set_limit(script: Script, body: bytes) -> object:
    try:
        script.set_limit(Limit.model_validate(_object(body)))
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        raise ScriptError(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None
    return {}


def _lift_limit(script: Script, _body: bytes) -> object:
    script.set_limit(None)
    return {}


def _reset(script: Script, _body: bytes) -> object:
    script.reset()
    return {}


_DIRECTIONS: dict[str, Callable[[Script, bytes], object]] = {
    "GET /healthz": lambda _script, _body: {"status": "ok"},
    "GET /_invoice": _invoice,
    "GET /_arrivals": _arrivals,
    "GET /_requests": lambda script, _body: list(script.requests),
    "POST /_script": _add_rules,
    "POST /_storm": _begin_storm,
    "DELETE /_storm": _end_storm,
    "POST /_limit": _set_limit,
    "DELETE /_limit": _lift_limit,
    "POST /_reset": _reset,
}


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = from_json(body)
    except ValueError as error:
        raise ScriptError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ScriptError("a JSON object is required")
    return document


def _json(value: object, status: int = 200) -> Performance:
    return _json_bytes(to_json(value), status)


def _json_bytes(body: bytes, status: int) -> Performance:
    head = wire.head(status, "req_control", length=len(body), kind=b"application/json", extra={})
    return Performance([Step(0, head + body)])
