"""Forms that are too large are refused on a page of ours, whoever sends them."""

from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from uuid import uuid4

import pytest

from storage.database import Database
from tests.desk_world import a_reviewer, served
from tests.house import House, settings_of
from tests.visitor import SESSION, Visitor
from web.bodies import FORM_BYTES, MOST_BYTES

pytestmark = pytest.mark.usefixtures("clean")
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def url(house: House) -> Iterator[str]:
    """The web, served for this file."""
    with served(settings_of(house)) as address:
        yield address


def sent(url: str, path: str, size: int, *, is_told: bool, session: str = "") -> tuple[HTTPResponse, str]:
    """The answer to a form of this size, told beforehand or found while it comes."""
    with closing(HTTPConnection(url.removeprefix("http://"), timeout=60)) as connection:
        connection.putrequest("POST", path)
        how = ("Content-Length", str(size)) if is_told else ("Transfer-Encoding", "chunked")
        for name, value in (("Content-Type", FORM), how, ("Cookie", f"{SESSION}={session}")):
            connection.putheader(name, value)
        connection.endheaders()
        if not is_told:
            for piece in (b"login=", b"x" * (size - 6)):
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")
        answer = connection.getresponse()
        return answer, answer.read().decode()


@pytest.mark.parametrize("is_told", [True, False], ids=["by its length", "while it comes"])
def test_a_form_that_is_too_large_is_refused_on_a_page(
    url: str, database: Database, tenant: str, is_told: bool
) -> None:
    """413 in our words, with the headers that every page has: the sign-in for anybody, all others for who is signed in."""
    with Visitor(base_url=url) as ada:
        ada.sign_in(a_reviewer(database, tenant))
        session = ada.cookies[SESSION]
        usual = ada.get("/desk/nowhere").headers
    forms = {
        "/signin": FORM_BYTES,
        "/signout": FORM_BYTES,
        "/desk/next": MOST_BYTES,
        "/desk/undo": MOST_BYTES,
        f"/desk/items/{uuid4()}": MOST_BYTES,
        f"/desk/second/{uuid4()}/renew": MOST_BYTES,
    }
    for path, most in forms.items():
        answer, text = sent(url, path, most + 1, is_told=is_told, session="" if path == "/signin" else session)
        assert (answer.status, "That was too much" in text) == (413, True), path
        for name in ("content-type", "content-security-policy", "x-content-type-options", "cache-control"):
            assert answer.headers[name] == usual[name], (path, name)


def test_a_form_at_the_bound_is_read(url: str) -> None:
    """A sign-in of the largest size is answered as a sign-in: here, that it is none of our forms."""
    answer, text = sent(url, "/signin", FORM_BYTES, is_told=False)
    assert (answer.status, "Please try again" in text) == (403, True)
