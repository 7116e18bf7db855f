"""The operators' pages over HTTP: every number leads to the jobs behind it, every job to its story, and no text leaves its
tenant."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from jobs import access, tenancy
from jobs.tally import tally
from schemas.ids import new_id
from stack.scripted import plays
from storage.database import Database
from tests.house import TESTER, House, Workers, eventually, landed, settings_of, submit_text, submit_texts
from web.access import cookie_name
from web.app import make_app

pytestmark = pytest.mark.usefixtures("clean", "nothing_counted")
TEXT = "A private sentence about the parcel"
NAUGHTY = '<script>alert("x")</script>'


@pytest.fixture
def web(house: House, database: Database, tenant: str) -> Iterator[TestClient]:
    """A browser in which an operator of this tenant is signed in."""
    with TestClient(make_app(settings_of(house)), base_url="http://127.0.0.1") as client:
        sign_in(client, database, tenant)
        yield client


def sign_in(client: TestClient, database: Database, tenant: str, role: str = "operator") -> None:
    """With a key."""
    _, key = tenancy.create_key(database, tenant, f"k{new_id().hex[-8:]}", role)
    token = access.sign_in(database, "", key)
    assert token is not None
    client.cookies.set(cookie_name(False), token)


def count_now(house: House, database: Database) -> None:
    """Wait until everything up to now is counted."""
    ((now,),) = house.query("SELECT clock_timestamp()")

    def counted() -> bool:
        tally(database, TESTER, every_seconds=1)
        return bool(house.query("SELECT 1 FROM tally_progress WHERE counted_until > %s", now))

    eventually(counted, "everything is counted")


class Links(HTMLParser):
    """The links of a page, with their words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._open: str | None = None
        self._words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._open, self._words = dict(attrs).get("href"), ""

    def handle_data(self, data: str) -> None:
        self._words += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open is not None:
            self.found.append((self._open, " ".join(self._words.split())))
            self._open = None


def ids_on(text: str) -> set[UUID]:
    """The jobs that a list shows."""
    return {UUID(found) for found in re.findall(r"<code[^>]*>([0-9a-f-]{36})</code>", text)}


def all_ids(web: TestClient, href: str) -> set[UUID]:
    """The jobs of a list, page after page."""
    found: set[UUID] = set()
    while True:
        answer = web.get(href)
        assert answer.status_code == 200, href
        found |= ids_on(answer.text)
        onward = [link for link, words in Links(answer.text).found if words == "Go on"]
        if not onward:
            return found
        href = onward[0]


def test_each_number_leads_to_the_jobs_that_it_counts(
    house: House, database: Database, tenant: str, web: TestClient, workers: Workers
) -> None:
    """A number on the first page and the list behind its link say the same: landed by the model, by rules, rates of a prompt
    version, calls; narrowed to the tenant."""
    house.provider.play(plays.wrong_schema(), contains="bad one")
    workers.start()
    fine = submit_texts(database, tenant, ["fine one", "fine two", "fine three"])
    bad = submit_texts(database, tenant, ["bad one billing error", "bad one shipping"])
    model = {job.job_id for job in landed(database, tenant, fine)}
    rules = {job.job_id for job in landed(database, tenant, bad)}
    count_now(house, database)
    answer = web.get("/operators", params={"tenant": tenant})
    assert answer.status_code == 200
    numbers = [(href, words) for href, words in Links(answer.text).found if href.startswith("/operators/jobs?")]
    assert len(numbers) > 20
    for href, _ in numbers:
        assert web.get(href).status_code == 200, href
    by_filter = {
        "list=landed&outcome=answered": model | rules,
        "list=landed&outcome=fallback": rules,
        "list=calls&outcome=no_reply": set(),
        "list=calls&reason=schema_violation": rules,
        "list=calls&purpose=repair": rules,
        "list=calls": model | rules,
        "list=landed&outcome=model": model,
        "list=landed&outcome=cancelled": set(),
        "list=waiting": set(),
        "list=running": set(),
        "list=in_review": set(),
    }
    for query, expected in by_filter.items():
        assert all_ids(web, f"/operators/jobs?{query}&tenant={tenant}&window=24h") == expected, query
    shown = dict(numbers)
    fallbacks = [words for href, words in shown.items() if "outcome=fallback" in href]
    assert fallbacks == ["40 %"]
    (version_link,) = [href for href in shown if "outcome=fallback" in href]
    assert all_ids(web, version_link) == rules
    table_links = [href for href, words in numbers if "outcome=model" in href and "since=" in href and words == "3"]
    assert table_links
    assert all_ids(web, table_links[0]) == model


def test_a_batch_is_one_line_that_leads_to_its_jobs(
    house: House, database: Database, tenant: str, web: TestClient
) -> None:
    """Submitted jobs are shown singly, and a batch as a whole, whose list goes on page after page."""
    single = submit_text(database, tenant, TEXT)
    batch = submit_texts(database, tenant, [f"line {number}" for number in range(120)])
    text = web.get(f"/operators/jobs?list=submitted&tenant={tenant}").text
    assert ids_on(text) == {single}
    (href,) = [link for link, words in Links(text).found if words == str(batch)]
    assert len(all_ids(web, href)) == 120


def test_lists_go_on_where_they_stopped(house: House, database: Database, tenant: str, web: TestClient) -> None:
    """Page after page shows every job once, though all ended in the same moment."""
    ids = {submit_text(database, tenant, f"d{number}") for number in range(7)}
    submit_texts(database, tenant, [f"line {number}" for number in range(113)])
    house.run("UPDATE jobs SET state = 'failed', finished_at = now(), failure_reason = 'refused'")
    pages, seen, href = 0, [], f"/operators/jobs?list=landed&outcome=failed&tenant={tenant}&reason=refused"
    while href:
        text = web.get(href).text
        seen += re.findall(r"<code[^>]*>([0-9a-f-]{36})</code>", text)
        pages += 1
        href = next((link for link, words in Links(text).found if words == "Go on"), "")
    assert (len(seen), len(set(seen)), pages) == (120, 120, 3)
    assert {str(one) for one in ids} <= set(seen)


def test_a_story_shows_what_was_sent_and_received_and_that_it_was_read(
    house: House, database: Database, tenant: str, web: TestClient, workers: Workers
) -> None:
    """Prompt, document, answer and cost stand on the page, escaped; the look is the newest event of the job."""
    workers.start()
    batch = submit_texts(database, tenant, [f"{TEXT} {NAUGHTY} billing"])
    (job,) = landed(database, tenant, batch)
    answer = web.get(f"/operators/jobs/{job.job_id}")
    assert answer.status_code == 200
    assert TEXT in answer.text
    assert "You classify documents" in answer.text
    assert "Sent: system" in answer.text
    assert "Received: text" in answer.text
    assert NAUGHTY not in answer.text
    assert "&lt;script&gt;" in answer.text
    assert [kind for (kind,) in house.query("SELECT kind FROM events WHERE job_id = %s ORDER BY at", job.job_id)][
        -1
    ] == ("seen_by_operator")


def test_the_texts_of_another_tenant_do_not_exist(
    house: House, database: Database, tenant: str, web: TestClient
) -> None:
    """A job of another tenant is counted and listed without text and without a link; its story is answered exactly as that of
    a job that never was."""
    other = f"o{new_id().hex[-12:]}"
    tenancy.create_tenant(database, other, "another")
    theirs = submit_text(database, other, TEXT)
    listed = web.get(f"/operators/jobs?list=submitted&tenant={other}").text
    assert str(theirs) in listed
    assert f"/operators/jobs/{theirs}" not in listed
    assert TEXT not in listed
    hidden, unknown = web.get(f"/operators/jobs/{theirs}"), web.get(f"/operators/jobs/{new_id()}")
    assert (hidden.status_code, hidden.text) == (unknown.status_code, unknown.text)
    assert hidden.status_code == 404
    assert house.query("SELECT 1 FROM events WHERE job_id = %s", theirs) == []


PAGES = ["/operators", "/operators/jobs", "/operators/alerts", "/operators/jobs/01a20000-0000-7000-8000-000000000000"]


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_for_operators(house: House, database: Database, tenant: str, web: TestClient, path: str) -> None:
    """A reviewer gets what an unknown address gives; nobody is led to the sign-in."""
    sign_in(web, database, tenant, "reviewer")
    refused, unknown = web.get(path), web.get("/operators/nowhere")
    assert (refused.status_code, refused.text) == (unknown.status_code, unknown.text)
    assert refused.status_code == 404
    web.cookies.clear()
    led = web.get(path, follow_redirects=False)
    assert led.status_code == 303
    assert led.headers["location"].startswith("/signin")


@pytest.mark.parametrize(
    "query",
    ["list=everything", "since=yesterday", "since=2026-01-01T00:00:00", "cursor=x", "cursor=2026-01-01T00:00:00Z~x~1",
     "unknown=1", "outcome=fine", "batch=1", "tenant=a%00b", "waited_over=soon", "waited_over=nan"],
)  # fmt: skip
def test_an_address_that_means_nothing_is_no_page(web: TestClient, query: str) -> None:
    """No filter is silently ignored, and none reaches the database as nonsense."""
    assert web.get(f"/operators/jobs?{query}").status_code == 404


def test_alerts_are_shown_with_their_jobs(house: House, database: Database, tenant: str, web: TestClient) -> None:
    """What fires stands on the first page and on the page of alerts, named, with a link to the jobs behind it; rules stand
    there as they are set."""
    job_id = submit_text(database, tenant, TEXT)
    house.run(
        "INSERT INTO alerts (id, rule, figure, labels, comparison, threshold, window_seconds, value, basis, jobs) VALUES"
        f" ('{new_id()}', 'TooSlow', 'oldest_waiting_seconds', '{{\"tenant\": \"{tenant}\", \"task\": \"classify\"}}', '>', 60,"
        f" 60, 120, 1, ARRAY['{job_id}'::uuid])"
    )
    for path in ("/operators", "/operators/alerts"):
        text = web.get(path).text
        assert "Alert TooSlow fires" in text
        assert f"/operators/jobs/{job_id}" in text
        (href,) = [link for link, words in Links(text).found if words == "The jobs behind it"]
        assert all_ids(web, href) == {job_id}
    assert "More than a fifth of the replies to one prompt version" in web.get("/operators/alerts").text


def test_an_alert_names_jobs_of_others_without_a_link(
    house: House, database: Database, tenant: str, web: TestClient
) -> None:
    """An alert may be about jobs of several tenants: each is named, and those lead to their story whose texts the operator may
    read; no link of the page leads nowhere."""
    other = f"o{new_id().hex[-12:]}"
    tenancy.create_tenant(database, other, "another")
    mine, theirs, gone = submit_text(database, tenant, TEXT), submit_text(database, other, TEXT), new_id()
    for ended in ("NULL", "now()"):
        house.run(
            "INSERT INTO alerts (id, rule, figure, labels, comparison, threshold, window_seconds, value, basis, jobs,"
            f" resolved_at) VALUES ('{new_id()}', 'TooSlow', 'oldest_waiting_seconds', '{{\"task\": \"classify\"}}', '>', 60, 60,"
            f" 120, 1, ARRAY['{mine}', '{theirs}', '{gone}']::uuid[], {ended})"
        )
    for path in ("/operators", "/operators/alerts"):
        text = web.get(path).text
        assert all(str(one) in text for one in (mine, theirs, gone))
        stories = {link for link, _ in Links(text).found if re.fullmatch(r"/operators/jobs/[0-9a-f-]+", link)}
        assert stories == {f"/operators/jobs/{mine}"}
        assert all(web.get(link).status_code == 200 for link, _ in Links(text).found if link.startswith("/operators"))


def test_pages_need_no_script_and_no_inline_style(web: TestClient) -> None:
    """A strict content policy breaks nothing: no script, no style attribute, no handler, no address of elsewhere."""
    for path in ("/operators", "/operators/jobs", "/operators/alerts"):
        text = web.get(path).text
        assert not re.search(r"<script|<style| style=| on[a-z]+=|(src|href)=\"(https?:)?//", text), path
