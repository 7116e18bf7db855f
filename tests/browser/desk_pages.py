"""Every page of the desk, and the states of a review, as they are looked at."""

from tests.browser.conftest import Person
from tests.browser.looking import NOWHERE, Look, at

ITEM, SECOND = "/desk/items/{job_id}", "/desk/second/{job_id}"


def claim(person: Person, task: str) -> None:
    """Take the next review of a task."""
    person.go(f"/desk?task={task}")
    person.page.get_by_role("button", name="Claim the next").click()
    person.page.wait_for_url("**/items/**")


def wrong(person: Person) -> None:
    """An answer that is refused at its fields."""
    claim(person, "extract")
    person.page.locator('[name="answer.fields.total.quote"]').fill("Total EUR 545.54")
    person.page.locator('[name="answer.fields.total.value"]').fill("554,54")
    person.page.get_by_role("button", name="Accept").click()
    person.page.locator("#errors").wait_for()


def _undo(person: Person) -> None:
    claim(person, "classify")
    person.page.get_by_role("checkbox", name="go on to the next").uncheck()
    person.page.get_by_role("button", name="Accept").click()
    person.page.get_by_role("button", name="Undo").wait_for()


def _second(person: Person) -> None:
    person.go("/desk/second")
    person.page.get_by_role("row", name="answer blind").get_by_role("link").click()
    person.page.get_by_role("button", name="Claim it").click()
    person.page.get_by_role("button", name="Give this answer").wait_for()


def _third(person: Person) -> None:
    person.go("/desk/second")
    person.page.get_by_role("row", name="judge who is right").get_by_role("link").click()
    person.page.get_by_role("button", name="Claim it").click()
    person.page.get_by_role("button", name="Settle it").wait_for()


def _held(person: Person) -> None:
    person.go("/desk")
    person.page.get_by_role("row", name="bob").get_by_role("link").click()
    person.page.get_by_role("heading", name="bob holds this").wait_for()


def _keys(person: Person) -> None:
    claim(person, "extract")
    person.press("?")
    person.page.locator("#keys[open]").wait_for()


DESK: dict[str, Look] = {
    "queue": at("/desk", on_tablet=True),
    "extract": Look(ITEM, lambda person: claim(person, "extract"), on_tablet=True),
    "classify": Look(ITEM, lambda person: claim(person, "classify")),
    "summarize": Look(ITEM, lambda person: claim(person, "summarize")),
    "errors": Look(ITEM, wrong),
    "undo": Look("/desk", _undo),
    "held": Look(ITEM, _held),
    "keys": Look(ITEM, _keys),
    "second-list": at("/desk/second"),
    "second": Look(SECOND, _second),
    "third": Look(SECOND, _third),
    "agreement": at("/desk/agreement"),
    "not-found": Look(NOWHERE, lambda person: person.go("/desk/nowhere")),
}
SIGNED_OUT: dict[str, Look] = {"signin": at("/signin"), "api": at("/v1")}
"""For whoever comes."""
