"""The HTTP face of the local model: the part of the Anthropic Messages protocol that Assay speaks."""

import asyncio
import hmac
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from stack.local_model import MODEL_ID
from stack.local_model.engine import Completion, Engine, Ticket
from stack.local_model.errors import ProtocolError, error_body
from stack.local_model.prompt import Prompt, read_prompt

MAX_BODY_BYTES = 32 * 1024 * 1024
"""As at the real service."""


def make_app(engine: Engine, key: str | None) -> Starlette:
    """The application; ``key`` None = it serves whoever asks."""
    face = _Face(engine, key)
    return Starlette(
        routes=[
            Route("/healthz", face.healthz, methods=["GET"]),
            Route("/v1/messages", face.messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", face.count_tokens, methods=["POST"]),
        ]
    )


class _Face:
    def __init__(self, engine: Engine, key: str | None) -> None:
        self._engine = engine
        self._key = key

    async def healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "model": MODEL_ID})

    async def messages(self, request: Request) -> Response:
        request_id = _new_id("req")
        try:
            self._authenticate(request)
            prompt = read_prompt(await _body(request))
            answer = self._stream if prompt.stream else self._whole
            return await answer(request, prompt, request_id)
        except ProtocolError as error:
            return _refused(error, request_id)
        except ClientDisconnect:
            return Response(status_code=499)

    async def count_tokens(self, request: Request) -> Response:
        request_id = _new_id("req")
        try:
            self._authenticate(request)
            tokens = await self._engine.count(read_prompt(await _body(request), counting=True))
        except ProtocolError as error:
            return _refused(error, request_id)
        return JSONResponse({"input_tokens": tokens}, headers={"request-id": request_id})

    def _authenticate(self, request: Request) -> None:
        if self._key is None:
            return
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        given = request.headers.get("x-api-key") or bearer
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            raise ProtocolError("authentication_error", "invalid x-api-key")

    async def _whole(self, request: Request, prompt: Prompt, request_id: str) -> Response:
        ticket = Ticket()
        writing = asyncio.create_task(self._engine.complete(prompt, ticket, lambda _text: None))
        leaving = asyncio.create_task(_disconnected(request))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not writing.done():
                ticket.cancel()
            completion = await writing
        finally:
            leaving.cancel()
        return JSONResponse(_message(completion), headers={"request-id": request_id})

    async def _stream(self, _request: Request, prompt: Prompt, request_id: str) -> Response:
        """Answers once the first piece is there, so that whatever is refused gets a status of its own."""
        ticket = Ticket()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        tokens = await self._engine.count(prompt)
        writing = asyncio.create_task(self._engine.complete(prompt, ticket, pieces.put_nowait))
        writing.add_done_callback(lambda _task: pieces.put_nowait(None))
        try:
            first = await pieces.get()
        except asyncio.CancelledError:
            ticket.cancel()
            raise
        if first is None:
            await writing
        events = _events(writing, ticket, pieces, first, tokens)
        return StreamingResponse(events, media_type="text/event-stream", headers={"request-id": request_id})


async def _events(
    writing: "asyncio.Task[Completion]",
    ticket: Ticket,
    pieces: "asyncio.Queue[str | None]",
    piece: str | None,
    input_tokens: int,
) -> AsyncIterator[bytes]:
    start = _message(Completion(input_tokens=input_tokens)) | {"content": [], "stop_reason": None}
    try:
        yield _event("message_start", message=start)
        yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        while piece is not None:
            yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
            piece = await pieces.get()
        completion = await writing
        yield _event("content_block_stop", index=0)
        delta = {"stop_reason": completion.stop_reason, "stop_sequence": None}
        yield _event("message_delta", delta=delta, usage=_usage(completion))
        yield _event("message_stop")
    except ProtocolError as error:
        yield _event("error", error={"type": error.kind, "message": error.message})
    finally:
        # Also when the caller has gone in the middle.
        ticket.cancel()


def _event(kind: str, **content: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **content})}\n\n".encode()


def _message(completion: Completion) -> dict[str, Any]:
    return {
        "id": _new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": MODEL_ID,
        "content": [{"type": "text", "text": completion.text}],
        "stop_reason": completion.stop_reason,
        "stop_sequence": None,
        "usage": _usage(completion),
    }


def _usage(completion: Completion) -> dict[str, int]:
    return {
        "input_tokens": completion.input_tokens,
        "output_tokens": completion.output_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }


def _new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(12)}"


def _refused(error: ProtocolError, request_id: str) -> Response:
    return JSONResponse(error_body(error, request_id), error.status, headers={"request-id": request_id})


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ProtocolError("request_too_large", f"Request exceeds the maximum of {MAX_BODY_BYTES} bytes")
    return bytes(body)


async def _disconnected(request: Request) -> None:
    while not await request.is_disconnected():
        await asyncio.sleep(0.1)
