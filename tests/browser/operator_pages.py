"""Every page of the operators, as it is looked at."""

from tests.browser.conftest import Person
from tests.browser.looking import NOWHERE, Look, at


def _story(person: Person) -> None:
    """The job that a person answered in the end, its calls opened."""
    person.go("/operators/jobs?list=landed&outcome=person&window=1h&tenant=acme&reason=ungrounded")
    person.page.get_by_role("table").get_by_role("link").first.click()
    person.page.get_by_role("heading", name="What happened").wait_for()


def _opened(person: Person) -> None:
    """The same with what was sent and received."""
    _story(person)
    for name in ("Sent: user", "Received: text"):
        person.page.get_by_text(name, exact=True).first.click()
    person.page.get_by_text("Sent: user", exact=True).first.scroll_into_view_if_needed()


def _tables(person: Person) -> None:
    """The first page with everything that can be opened."""
    person.go("/operators?window=24h")
    for one in person.page.locator("details > summary").all():
        one.click()


OPERATORS: dict[str, Look] = {
    "overview": at("/operators", "?window=24h", on_tablet=True),
    "overview-hour": at("/operators", "?window=1h&tenant=acme"),
    "overview-opened": Look("/operators", _tables),
    "jobs": at("/operators/jobs", "?list=landed&window=24h", on_tablet=True),
    "calls": at("/operators/jobs", "?list=calls&reason=schema_violation&window=1h", on_tablet=True),
    "submitted": at("/operators/jobs", "?list=submitted&window=1h"),
    "none": at("/operators/jobs", "?list=landed&window=1h&task=extract&reason=policy_denied"),
    "story": Look("/operators/jobs/{job_id}", _story, on_tablet=True),
    "story-opened": Look("/operators/jobs/{job_id}", _opened),
    "alerts": at("/operators/alerts", on_tablet=True),
    "not-found": Look(NOWHERE, lambda person: person.go("/operators/nowhere")),
}
