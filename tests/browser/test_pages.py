"""Every page: nothing that axe finds serious, nothing that scrolls sideways, in light and dark, on a laptop and a tablet; and
pictures of them."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from jobs import review
from jobs.tenancy import create_tenant, list_tenants
from schemas.failure import FailureReason
from schemas.job import JobOptions
from storage.database import Database
from tests.browser.conftest import PICTURES, Open, Person
from tests.desk_world import a_letter, a_reviewer, an_invoice, ask, in_review, to_second_review
from tests.house import House

pytestmark = pytest.mark.usefixtures("clean")

SUMMARY = {
    "outcome": "summary",
    "summary": "One of two ordered lamps arrived broken; the writer wants a refund or a new lamp.",
    "key_points": [
        {"point": "One of two lamps arrived broken.", "quote": "one of them arrived broken"},
        {"point": "A refund or a replacement is wanted.", "quote": "Please refund the invoice, or send a new lamp."},
    ],
}
Visit = Callable[[Person], None]


@pytest.fixture
def tenant(database: Database) -> str:
    """One with a name that looks well in a picture; all tests of this file share it."""
    if all(one["id"] != "acme" for one in list_tenants(database)):
        create_tenant(database, "acme", "of the pictures")
    return "acme"


@pytest.fixture
def busy_desk(clean: None, database: Database, tenant: str) -> None:
    """A queue with something of everything."""
    for _ in range(2):
        an_invoice(database, tenant, options=JobOptions(deadline=timedelta(hours=5)))
    for _ in range(6):
        a_letter(database, tenant)
    in_review(
        database, tenant, "summarize", ask("summarize"), rules=SUMMARY,
        reason=FailureReason.TRUNCATED, detail="The answer hit the token cap.",
    )  # fmt: skip
    assert review.claim(database, tenant, "bob", 900, task="classify") is not None
    to_second_review(database, tenant, label="shipping", evidence="The parcel had been opened")
    to_second_review(database, tenant, label="shipping", evidence="The parcel had been opened", second="damaged goods")


def _claim(person: Person, task: str) -> None:
    person.page.goto(f"{person.url}/desk?task={task}")
    person.page.get_by_role("button", name="Claim the next").click()
    person.page.wait_for_url("**/items/**")


def _wrong(person: Person) -> None:
    _claim(person, "extract")
    person.page.locator('[name="answer.fields.total.quote"]').fill("Total EUR 545.54")
    person.page.locator('[name="answer.fields.total.value"]').fill("554,54")
    person.page.get_by_role("button", name="Accept").click()
    person.page.locator("#errors").wait_for()


def _undo(person: Person) -> None:
    _claim(person, "classify")
    person.page.get_by_role("checkbox", name="go on to the next").uncheck()
    person.page.get_by_role("button", name="Accept").click()
    person.page.get_by_role("button", name="Undo").wait_for()


def _second(person: Person) -> None:
    person.page.goto(f"{person.url}/desk/second")
    person.page.get_by_role("row", name="answer blind").get_by_role("link").click()
    person.page.get_by_role("button", name="Claim it").click()
    person.page.get_by_role("button", name="Give this answer").wait_for()


def _third(person: Person) -> None:
    person.page.goto(f"{person.url}/desk/second")
    person.page.get_by_role("row", name="judge who is right").get_by_role("link").click()
    person.page.get_by_role("button", name="Claim it").click()
    person.page.get_by_role("button", name="Settle it").wait_for()


def _held(person: Person) -> None:
    person.page.goto(f"{person.url}/desk")
    person.page.get_by_role("row", name="bob").get_by_role("link").click()
    person.page.get_by_role("heading", name="bob holds this").wait_for()


def _keys(person: Person) -> None:
    _claim(person, "extract")
    person.press("?")
    person.page.locator("#keys[open]").wait_for()


PAGES: dict[str, Visit] = {
    "queue": lambda person: person.page.goto(f"{person.url}/desk") and None,
    "extract": lambda person: _claim(person, "extract"),
    "classify": lambda person: _claim(person, "classify"),
    "summarize": lambda person: _claim(person, "summarize"),
    "errors": _wrong,
    "undo": _undo,
    "held": _held,
    "keys": _keys,
    "second-list": lambda person: person.page.goto(f"{person.url}/desk/second") and None,
    "second": _second,
    "third": _third,
    "agreement": lambda person: person.page.goto(f"{person.url}/desk/agreement") and None,
    "not-found": lambda person: person.page.goto(f"{person.url}/desk/nowhere") and None,
}


def check(page: Page, name: str) -> list[str]:
    """What is seriously wrong with a page, each with where it is."""
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{name}: {one['id']} ({one['impact']}): {node['target']} {node['failureSummary']}"
        for one in found.response["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> Iterator[str]:
    """The colours that the reader's system asks for."""
    return request.param  # type: ignore[no-any-return]


@pytest.mark.usefixtures("busy_desk")
def test_pages_can_be_read_by_everybody(database: Database, tenant: str, open_browser: Open, scheme: str) -> None:
    """axe finds nothing serious or critical on any page, and no page is wider than a laptop's or a tablet's window."""
    person = open_browser(color_scheme=scheme)
    person.page.goto(f"{person.url}/signin")
    wrong = check(person.page, "sign-in")
    picture(person.page, "signin", scheme)
    person.sign_in(a_reviewer(database, tenant))
    for name, visit in PAGES.items():
        visit(person)
        wrong += check(person.page, name)
        picture(person.page, name, scheme)
        for width in (1440, 1024, 768, 390):
            person.page.set_viewport_size({"width": width, "height": 900})
            extra = person.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            wrong += [f"{name}: {extra} pixels too wide at {width}"] if extra > 0 else []
            if width == 768 and name in ("queue", "extract"):
                picture(person.page, f"{name}-tablet", scheme)
        person.page.set_viewport_size({"width": 1440, "height": 900})
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("busy_desk")
def test_the_focus_can_be_seen(person: Person) -> None:
    """Tabbing through the form of a review, whatever has the focus has an outline."""
    _claim(person, "extract")
    without = []
    for _ in range(45):
        person.page.keyboard.press("Tab")
        style = person.page.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e);"
            " return [e.outerHTML.slice(0, 80), s.outlineStyle, s.outlineWidth] })()"
        )
        if style[1] == "none" or style[2] == "0px":
            without.append(style[0])
    assert without == []


def test_forms_say_what_they_are(house: House, database: Database, tenant: str, person: Person) -> None:
    """Every field has a name to be called by, and an error is part of what is read out for its field."""
    an_invoice(database, tenant)
    _wrong(person)
    nameless = person.page.evaluate(
        "[...document.querySelectorAll('input:not([type=hidden]), textarea, select')].filter(e => !e.labels?.length).length"
    )
    assert nameless == 0
    wrong = person.page.locator('[name="answer.fields.total.value"]')
    described = (wrong.get_attribute("aria-describedby") or "").split()
    said = " ".join(person.page.locator(f"#{one}").inner_text() for one in described)
    assert "must be a number" in said
    assert "final amount to pay" in said
    assert house.query("SELECT count(pending) FROM reviews") == [(0,)]


def picture(page: Page, name: str, scheme: str) -> None:
    """Keep one where pictures are wanted."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"desk-{name}-{scheme}.png", animations="disabled", caret="hide")
