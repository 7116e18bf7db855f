"""The doors of the desk: sessions, forged forms, redirects, headers, paths, tenants and roles. Over real HTTP."""

import re
import socket
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from jobs.tenancy import create_key, create_tenant
from schemas.access import Role
from schemas.ids import new_id
from storage.database import Database
from tests.desk_world import PASSWORD, a_letter, a_reviewer, an_invoice, served, to_second_review
from tests.house import House, settings_of
from tests.visitor import HIDDEN, SESSION, Visitor

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(scope="module")
def url(house: House) -> Iterator[str]:
    """The web, served for this file."""
    with served(settings_of(house)) as address:
        yield address


@pytest.fixture
def visitor(url: str) -> Iterator[Callable[[], Visitor]]:
    """Makes visitors."""
    made: list[Visitor] = []

    def make() -> Visitor:
        made.append(Visitor(base_url=url))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def reviewer(database: Database, tenant: str) -> str:
    """A login of the test's tenant."""
    return a_reviewer(database, tenant)


@pytest.fixture
def ada(visitor: Callable[[], Visitor], reviewer: str) -> Visitor:
    """The reviewer, signed in."""
    found = visitor()
    assert found.sign_in(reviewer).status_code == 303
    return found


def pending(house: House, job_id: UUID) -> str | None:
    """The decision that is set down."""
    ((decision,),) = house.query("SELECT pending FROM reviews WHERE job_id = %s", job_id)
    return decision  # type: ignore[no-any-return]


def test_the_cookie_is_out_of_reach_of_scripts(visitor: Callable[[], Visitor], reviewer: str) -> None:
    """HttpOnly and SameSite, for the whole host and no other, and never over the address."""
    answer = visitor().sign_in(reviewer)
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(SESSION))
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "domain" not in cookie.lower()
    assert "session" not in answer.headers["location"]


def test_behind_tls_the_cookie_is_bound_to_the_host(house: House, reviewer: str) -> None:
    """With secure cookies they are Secure, have the prefix that browsers bind to the host, and TLS is remembered."""
    with served(settings_of(house, web_secure_cookies=True)) as address, Visitor(base_url=address) as visitor:
        page = visitor.get("/signin")
        found = HIDDEN.search(page.text)
        assert found is not None
        kept = page.headers["set-cookie"].split(";")[0]
        answer = visitor.post(
            "/signin",
            data={"csrf": found[1], "login": reviewer, "password": PASSWORD},
            headers={"cookie": kept},
        )
        cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(f"__Host-{SESSION}"))
        assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
        assert page.headers["strict-transport-security"].startswith("max-age=")


def test_behind_a_proxy_the_public_address_is_ours(house: House, reviewer: str) -> None:
    """A proxy may give the web another host name than the browser knows: with the public URL set, forms from there count, and
    those from elsewhere still do not."""
    public = settings_of(house, web_public_url="https://assay.example")
    with served(public) as address, Visitor(base_url=address) as visitor:
        for origin, status in (("https://assay.example", 303), ("https://assay.example.evil.example", 404)):
            data = {"csrf": visitor.token("/signin"), "login": reviewer, "password": PASSWORD}
            assert visitor.post("/signin", data=data, headers={"origin": origin}).status_code == status


def test_a_planted_session_is_worth_nothing(visitor: Callable[[], Visitor], reviewer: str, url: str) -> None:
    """Fixation: whatever session the browser had before, signing in makes a new one and ends the old one."""
    attacker = visitor()
    attacker.sign_in(reviewer)
    planted = attacker.cookies[SESSION]
    victim = visitor()
    victim.cookies.set(SESSION, planted)
    victim.sign_in(reviewer)
    mine = [one.value for one in victim.cookies.jar if one.name == SESSION]
    assert any(value != planted for value in mine)
    assert attacker.get("/desk").status_code == 303
    made_up = visitor()
    made_up.cookies.set(SESSION, "x" * 43)
    assert made_up.get("/desk").headers["location"] == "/signin?next=/desk"


def test_signing_out_ends_the_session_itself(ada: Visitor, visitor: Callable[[], Visitor]) -> None:
    """The cookie that was copied before is worth nothing afterwards."""
    copied = visitor()
    copied.cookies.set(SESSION, ada.cookies[SESSION])
    assert copied.get("/desk").status_code == 200
    out = ada.post("/signout", data={"csrf": ada.token()})
    assert (out.status_code, out.headers["location"], out.headers["clear-site-data"]) == (303, "/signin", '"cache"')
    assert copied.get("/desk").status_code == 303


def forms(job_id: UUID, tenant: str) -> dict[str, dict[str, str]]:
    """Everything that the desk lets somebody change."""
    return {
        "/desk/next": {},
        "/desk/bulk": {"tenant": tenant, "task": "classify", "reason": "refused", "cluster": "0" * 64},
        "/desk/undo": {"tenant": tenant, "job": str(job_id)},
        f"/desk/items/{job_id}": {"action": "claim"},
        f"/desk/items/{job_id}/renew": {"fence": "1"},
        "/desk/second/next": {},
        f"/desk/second/{job_id}": {"action": "claim"},
        f"/desk/second/{job_id}/renew": {"fence": "1"},
        "/signout": {},
    }


def test_forged_forms_change_nothing(
    house: House, database: Database, tenant: str, ada: Visitor, visitor: Callable[[], Visitor]
) -> None:
    """Without the session's own token no form of the desk does anything: missing, made up, of somebody else's session, of the
    sign-in form. The same with the right token where the browser says that another site sent it."""
    job_id = a_letter(database, tenant)
    other = visitor()
    other.sign_in(a_reviewer(database, tenant, name="bob"))
    mine = ada.token()
    wrong_tokens = ["", "x", other.token(), visitor().token("/signin"), mine[:-1], mine + "x", "\x00", "ü" * 40]
    elsewhere = [
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"},
        {"origin": "null"}, {"origin": "http://127.0.0.1:1"},
    ]  # fmt: skip
    for path, data in forms(job_id, tenant).items():
        for token in wrong_tokens:
            assert ada.post(path, data={**data, "csrf": token}).status_code == 404, (path, token)
        assert ada.post(path, data=data).status_code == 404
        assert ada.post(path, json={**data, "csrf": mine}).status_code == 404
        for headers in elsewhere:
            assert ada.post(path, data={**data, "csrf": mine}, headers=headers).status_code == 404, (path, headers)
        assert ada.get(path, params={**data, "csrf": mine}).status_code in (200, 404)
    assert house.query("SELECT reviewer, pending, fence FROM reviews") == [(None, None, 0)]
    same = {"sec-fetch-site": "same-origin", "origin": str(ada.base_url).rstrip("/")}
    assert ada.post("/desk/next", data={"csrf": mine}, headers=same).headers["location"] == f"/desk/items/{job_id}"


def test_nobody_is_signed_in_from_elsewhere(visitor: Callable[[], Visitor], reviewer: str) -> None:
    """Sign-in forgery: without the cookie and token of our own form, or sent by another site, nobody is signed in."""
    right = {"login": reviewer, "password": PASSWORD}
    blank = visitor()
    assert blank.post("/signin", data=right).status_code == 403
    one, two = visitor(), visitor()
    foreign = one.token("/signin")
    two.token("/signin")
    assert two.post("/signin", data={**right, "csrf": foreign}).status_code == 403
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        token = two.token("/signin")
        assert two.post("/signin", data={**right, "csrf": token}, headers=headers).status_code == 404
    assert SESSION not in two.cookies


def test_wrong_passwords_say_nothing_and_slow_down(visitor: Callable[[], Visitor], reviewer: str) -> None:
    """Unknown login and wrong password look alike; after ten tries a minute the login has to wait, right password or not."""
    someone = visitor()
    unknown, wrong = someone.sign_in("nobody"), someone.sign_in(reviewer, "wrong" * 4)
    assert (unknown.status_code, wrong.status_code) == (403, 403)
    plain = [
        re.sub(r'(csrf|login)" (.*?)?value="[^"]*"|maxlength="100"\s+value="[^"]*"', "", one.text)
        for one in (unknown, wrong)
    ]
    assert plain[0] == plain[1]
    statuses = [someone.sign_in(reviewer, "wrong" * 4).status_code for _ in range(10)]
    assert statuses[-1] == 429
    assert someone.sign_in(reviewer).status_code == 429


def test_a_key_opens_the_desk_for_reviewers_alone(
    database: Database, tenant: str, visitor: Callable[[], Visitor]
) -> None:
    """A reviewer's key stands in place of the password; a producer's is no way in; an operator finds no desk."""
    for role, status in (("reviewer", 303), ("producer", 403), ("operator", 303)):
        _, key = create_key(database, tenant, f"{role}-key", role)
        someone = visitor()
        answer = someone.sign_in("", key)
        assert answer.status_code == status, role
        if role == "reviewer":
            assert (answer.headers["location"], someone.get("/desk").status_code) == ("/desk", 200)
            assert "key:reviewer-key" in someone.get("/desk").text
        if role == "operator":
            assert (answer.headers["location"], someone.get("/desk").status_code) == ("/operators", 404)


def test_signing_in_leads_to_this_host_alone(visitor: Callable[[], Visitor], database: Database, tenant: str) -> None:
    """An address to go on to is taken where it is one of ours; otherwise it is the desk. No header can be written by it."""
    cases = {
        "/desk?task=extract": "/desk?task=extract",
        "//evil.example": "/desk",
        "https://evil.example": "/desk",
        "/\\evil.example": "/desk",
        "/desk\r\nSet-Cookie: planted=1": "/desk",
        "/%0d%0aSet-Cookie:planted=1": "/%0d%0aSet-Cookie:planted=1",
        "javascript:alert(1)": "/desk",
    }
    login = a_reviewer(database, tenant)
    for target, place in cases.items():
        someone = visitor()
        answer = someone.sign_in(login, next=target)
        assert answer.headers["location"] == place
        assert "planted" not in str(answer.headers.get_list("set-cookie"))
        assert "planted" not in someone.cookies


def test_headers_cannot_be_written_by_what_is_asked(ada: Visitor, visitor: Callable[[], Visitor]) -> None:
    """Line ends in addresses, filters and notices come back in no header."""
    for path in (
        "/desk?task=%0d%0aX-Planted:1",
        "/desk?notice=%0aX-Planted:1",
        "/desk/second?notice=a%0d%0aX-Planted: 1",
    ):
        assert "x-planted" not in ada.get(path).headers
    led = visitor().get("/desk?task=%0d%0aX-Planted:%201")
    assert led.status_code == 303
    assert "x-planted" not in led.headers
    answer = ada.post("/desk/next?task=%0d%0aX-Planted:1&older=4", data={"csrf": ada.token()})
    assert answer.headers["location"] == "/desk?older=4&notice=none"


def as_written(visitor: Visitor, path: str) -> tuple[int, bytes]:
    """Ask for a path to the letter: clients tidy addresses up before they send them."""
    with socket.create_connection((visitor.base_url.host, visitor.base_url.port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1"))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer.split(b" ", 2)[1]), answer


def test_files_beside_the_static_ones_cannot_be_had(ada: Visitor) -> None:
    """However the way up is written: our own files are there, and nothing else."""
    assert ada.get("/static/assay.css").status_code == 200
    ways = ["../pages.py", "..%2fpages.py", "%2e%2e/pages.py", "....//pages.py", "..\\pages.py", "..%5cpages.py", "/etc/passwd",
            "%2fetc%2fpasswd", "assay.css/../../pages.py", "assay.css%00.py", "", ".", "..", "../templates/base.html"]  # fmt: skip
    for way in ways:
        status, body = as_written(ada, f"/static/{way}")
        assert status in (400, 404), way
        assert b"def " not in body
        assert b"root:" not in body
    for name in ("..%2f..%2fetc%2fpasswd", "%00", "a" * 5000, "1 OR 1=1", "%2e%2e%2fsecond"):
        assert ada.get(f"/desk/items/{name}").status_code == 404


def test_what_is_not_yours_does_not_exist(
    house: House, database: Database, tenant: str, visitor: Callable[[], Visitor]
) -> None:
    """A reviewer of another tenant gets for each page and form of a review, word for word, what an unknown job gets; one of
    both tenants sees both."""
    foreign = f"t{new_id().hex[-12:]}"
    create_tenant(database, foreign, "of somebody else")
    theirs, second = an_invoice(database, foreign), to_second_review(database, foreign, label="other", evidence="lamp")
    mine = a_letter(database, tenant)
    someone = visitor()
    someone.sign_in(a_reviewer(database, tenant))
    token, unknown = someone.token(), new_id()
    assert str(theirs)[-6:] not in someone.get("/desk").text
    for job_id in (theirs, second):
        for path in ("/desk/items/{}", "/desk/second/{}"):
            ours, nobodys = (someone.get(path.format(one)) for one in (job_id, unknown))
            assert (ours.status_code, ours.text) == (404, nobodys.text)
            for below in ("", "/renew"):
                for action in ("claim", "skip", "accept", "reject", "judge", "add:x", "reclaim"):
                    data = {"csrf": token, "action": action, "fence": "1"}
                    ours, nobodys = (someone.post(path.format(one) + below, data=data) for one in (job_id, unknown))
                    assert (ours.status_code, ours.text) == (404, nobodys.text)
    assert someone.post("/desk/undo", data={"csrf": token, "tenant": foreign, "job": str(theirs)}).status_code == 404
    assert someone.post("/desk/undo", data={"csrf": token, "tenant": tenant, "job": str(theirs)}).status_code == 404
    bulk = {"csrf": token, "tenant": foreign, "task": "extract", "reason": "ungrounded", "cluster": "0"}
    assert someone.post("/desk/bulk", data=bulk).status_code == 404
    assert someone.get(f"/desk?tenant={foreign}").text.count(str(theirs)[-6:]) == 0
    assert house.query("SELECT count(*) FROM events WHERE job_id = %s AND kind LIKE 'review%%'", theirs) == [(0,)]

    both = visitor()
    both.sign_in(a_reviewer(database, tenant, foreign, name="both"))
    assert both.get(f"/desk/items/{theirs}").status_code == both.get(f"/desk/items/{mine}").status_code == 200


def test_roles_that_have_no_desk_find_none(database: Database, tenant: str, visitor: Callable[[], Visitor]) -> None:
    """For an operator every address of the desk is one that does not exist; for nobody it leads to the sign-in."""
    job_id = a_letter(database, tenant)
    operator, nobody = visitor(), visitor()
    operator.sign_in(a_reviewer(database, tenant, name="op", role=Role.OPERATOR))
    there_is_not = operator.get("/desk/nowhere-at-all")
    for path in ("/desk", f"/desk/items/{job_id}", "/desk/second", f"/desk/second/{job_id}", "/desk/agreement"):
        found = operator.get(path)
        assert (found.status_code, found.text) == (404, there_is_not.text)
        assert nobody.get(path).headers["location"].startswith("/signin")
    for path, data in forms(job_id, tenant).items():
        if path != "/signout":
            assert operator.post(path, data={**data, "csrf": "x"}).status_code == 404
        assert nobody.post(path, data=data).status_code == 303


def test_every_page_forbids_what_is_inline(ada: Visitor, database: Database, tenant: str) -> None:
    """Each answer has the strict policy; no page has inline script, style or handler; none is kept by caches or framed."""
    job_id = an_invoice(database, tenant)
    ada.post(f"/desk/items/{job_id}", data={"csrf": ada.token(), "action": "claim"})
    for path in ("/desk", f"/desk/items/{job_id}", "/desk/second", "/desk/agreement", "/signin", "/desk/nowhere"):
        answer = ada.get(path)
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=|javascript:", answer.text)
        assert not re.search(r'(src|href)="(https?:)?//', answer.text)
