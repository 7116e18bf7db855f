"""Every page: nothing that axe finds serious, nothing that scrolls sideways, in light and dark, on a laptop and a tablet; and
pictures of them."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from jobs import review
from jobs.tenancy import create_tenant, list_tenants
from schemas.failure import FailureReason
from schemas.job import JobOptions
from storage.database import Database
from tests.browser.conftest import Open, Person
from tests.browser.desk_pages import DESK, SIGNED_OUT, claim
from tests.browser.desk_pages import wrong as show_wrong
from tests.browser.looking import look_at
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


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> Iterator[str]:
    """The colours that the reader's system asks for."""
    return request.param  # type: ignore[no-any-return]


@pytest.mark.usefixtures("busy_desk")
def test_pages_can_be_read_by_everybody(database: Database, tenant: str, open_browser: Open, scheme: str) -> None:
    """axe finds nothing serious or critical on any page, and no page is wider than a laptop's, a tablet's or a phone's window."""
    person = open_browser(color_scheme=scheme)
    wrong = look_at(person, SIGNED_OUT, scheme, prefix="desk", width=1440)
    person.sign_in(a_reviewer(database, tenant))
    wrong += look_at(person, DESK, scheme, prefix="desk", width=1440)
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("busy_desk")
def test_the_focus_can_be_seen(person: Person) -> None:
    """Tabbing through the form of a review, whatever has the focus has an outline."""
    claim(person, "extract")
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
    show_wrong(person)
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
