"""The API as the commands reach it: a client with the key, and what a problem document says as an error."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2
from pydantic import SecretStr

from cli.errors import work_failed, wrong_usage

CONNECT_SECONDS = 5.0
READ_SECONDS = 120.0
"""An upload is answered when its last line is written, which takes seconds for 100,000."""
NOT_FOUND, IDEMPOTENCY_CONFLICT, STATE_CONFLICT = (
    f"/problems/{kind}" for kind in ("not-found", "idempotency-conflict", "state-conflict")
)


class Refused(Exception):
    """The API refused a request; its client says it in the words of the use case.

    Attributes:
        kind: the problem's ``type``.
        errors: what is wrong where: ``path`` and ``detail``.
    """

    def __init__(self, kind: str, detail: str, errors: list[dict[str, str]]) -> None:
        self.kind = kind
        self.detail = detail
        self.errors = errors
        super().__init__(detail)


@contextmanager
def opened_api(url: str, key: SecretStr | None) -> "Iterator[Api]":
    """A client of the API at this address.

    Raises:
        Stop: no key is set.
    """
    if key is None:
        raise wrong_usage("ASSAY_URL is set and ASSAY_API_KEY is not: set it to a key, made with `assay keys create`.")
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"}
    timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    with httpx2.Client(base_url=url, headers=headers, timeout=timeout) as client:
        yield Api(client)


class Api:
    """Sends requests.

    Every method raises :class:`Refused` for what the API refuses, and ``Stop`` for a key that is none, an address at which no
    Assay answers, and what cannot be done now.
    """

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        content: "str | Iterator[bytes] | None" = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> tuple[dict[str, Any], int]:
        """Send a request whose answer is one JSON object; an empty one is ``{}``.

        Args:
            params, headers: None as a value leaves one out.

        Returns:
            What was answered, and its status.
        """
        with self.stream(method, path, params=_given(params), content=content, headers=_given(headers)) as response:
            response.read()
            said: dict[str, Any] = response.json() if response.content else {}
            return said, response.status_code

    @contextmanager
    def stream(self, method: str, path: str, **sent: Any) -> Iterator[httpx2.Response]:
        """Send a request whose answer is read as it comes. A stream that breaks off raises ``httpx2.RemoteProtocolError``."""
        try:
            with self._client.stream(method, path, **sent) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                yield response
        except httpx2.TransportError as error:
            if isinstance(error, httpx2.RemoteProtocolError):
                raise
            raise work_failed(
                f"Assay at {self._client.base_url} does not answer ({type(error).__name__}): check ASSAY_URL."
            ) from None


def _given(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (values or {}).items() if value is not None}


def _refusal(response: httpx2.Response) -> Exception:
    """What the problem document says."""
    try:
        problem = response.json()
        kind, detail, advice, errors = (problem[name] for name in ("type", "detail", "what_to_do", "errors"))
    except (ValueError, KeyError, TypeError):
        return work_failed(
            f"{response.url.host} answered with status {response.status_code} and no problem document: is ASSAY_URL Assay's?"
        )
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        return wrong_usage("ASSAY_API_KEY is no valid key: it may be revoked, or have expired.")
    if response.is_client_error and response.status_code != httpx2.codes.TOO_MANY_REQUESTS:
        return Refused(kind, detail, errors)
    return work_failed(f"{detail} {advice}")
