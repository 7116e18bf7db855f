"""Everything can be done without JavaScript, by forms alone."""

from uuid import UUID

import pytest
from playwright.sync_api import expect

from jobs import second_review
from jobs.review import Decision
from schemas.review import Verdict
from storage.database import Database
from tests.browser.conftest import Open, Person
from tests.desk_world import a_letter, an_invoice, to_second_review
from tests.house import House

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def person(open_browser: Open, reviewer: str) -> Person:
    """The reviewer in a browser without JavaScript."""
    found = open_browser(java_script_enabled=False)
    found.sign_in(reviewer)
    return found


def test_a_whole_review_without_javascript(house: House, database: Database, tenant: str, person: Person) -> None:
    """Claim, use a suggestion, add and remove rows, be told an error at its field, correct it, accept, take back."""
    job_id = an_invoice(database, tenant)
    page = person.page
    page.get_by_role("button", name="Claim the next").click()
    page.get_by_role("button", name="Use all of model").click()
    expect(page.locator('[name="answer.fields.total.value"]')).to_have_value("554.54")
    page.get_by_role("button", name="Add to lines").click()
    page.locator('[name="answer.fields.lines.2.description.value"]').fill("Express delivery")
    page.get_by_role("button", name="Add to lines").click()
    page.get_by_role("button", name="Remove Line 4").click()
    page.get_by_role("button", name="Accept").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Lines 3 › description › quote: is missing")
    expect(page.locator('[name="answer.fields.lines.2.description.quote"]')).to_have_attribute("aria-invalid", "true")
    page.locator('[name="answer.fields.lines.2.description.quote"]').fill("Express delivery")
    page.get_by_role("button", name="Check").last.click()
    expect(alert).to_contain_text("Total › quote: does not stand in the document")
    page.locator('[name="answer.fields.total.quote"]').fill("554.54")
    page.get_by_role("button", name="Check").last.click()
    expect(page.get_by_role("status").first).to_contain_text("This meets the contract.")
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("heading", name="Review queue")).to_be_visible()
    ((decision, output),) = house.query("SELECT pending, pending_output FROM reviews WHERE job_id = %s", job_id)
    assert decision == "edit"
    assert [row["description"]["value"] for row in output["fields"]["lines"]][2:] == ["Express delivery"]
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Accept")).to_be_visible()
    page.get_by_role("button", name="Skip").click()
    expect(page.get_by_role("status").first).to_contain_text("Nothing is waiting that nobody else holds")
    assert house.query("SELECT count(*) FROM review_skips") == [(1,)]


def test_the_enter_key_checks_and_decides_nothing(
    house: House, database: Database, tenant: str, person: Person
) -> None:
    """Enter in a line of the form is pressed by accident: it checks."""
    an_invoice(database, tenant)
    page = person.page
    page.get_by_role("button", name="Claim the next").click()
    page.locator('[name="answer.fields.invoice_number.value"]').press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("This meets the contract.")
    assert house.query("SELECT count(pending) FROM reviews") == [(0,)]


def test_filters_without_javascript(database: Database, tenant: str, person: Person) -> None:
    """The queue narrows to what was chosen, and claiming the next one stays within it."""
    an_invoice(database, tenant)
    letter = a_letter(database, tenant)
    page = person.page
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Task", exact=True).select_option("classify")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Claim the next").click()
    page.wait_for_url(f"**/desk/items/{letter}?task=classify")


def test_a_second_review_is_blind_until_it_is_given(
    database: Database, tenant: str, person: Person, open_browser: Open
) -> None:
    """The model's answer is nowhere on the page before the second person has answered; then both are, and a third judges."""
    job_id: UUID = to_second_review(database, tenant, label="shipping", evidence="The parcel had been opened")
    page = person.page
    page.get_by_role("link", name="Second reviews").click()
    page.get_by_role("button", name="Claim the next").click()
    expect(page.get_by_role("button", name="Give this answer")).to_be_visible()
    blind = page.content()
    assert "<mark" not in blind
    assert blind.count("The parcel had been opened") == 1  # in the source alone
    page.get_by_label("damaged goods").check()
    page.get_by_label("Evidence").fill("arrived broken")
    page.get_by_role("button", name="Give this answer").click()
    expect(page.get_by_role("heading", name="Both answers")).to_be_visible()
    expect(page.get_by_role("row", name="Labels")).to_contain_text("shipping")
    expect(page.get_by_role("heading", name="Your answer is recorded")).to_be_visible()

    third = second_review.claim(database, [tenant], "carl", 60)
    assert third is not None
    second_review.judge(database, tenant, job_id, "carl", Verdict.SECOND, fence=third.fence)
    page.reload()
    expect(page.get_by_text("carl judged: the second person is right.")).to_be_visible()
    page.get_by_role("link", name="Agreement").click()
    expect(page.get_by_role("row", name="classify")).to_contain_text("The second person is right: 1")
    assert Decision.EDIT.value == "edit"


def test_a_third_person_judges(house: House, database: Database, tenant: str, person: Person) -> None:
    """Both answers side by side with what differs; without a choice the page asks for one."""
    job_id = to_second_review(database, tenant, label="shipping", evidence="The parcel had been opened", second="other")
    page = person.page
    page.goto(f"{person.url}/desk/second/{job_id}")
    page.get_by_role("button", name="Claim it").click()
    page.get_by_role("button", name="Settle it").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose who is right")
    page.get_by_label("The model is right").check()
    page.get_by_role("button", name="Settle it").click()
    expect(page.get_by_text("judged: the model is right.")).to_be_visible()
    assert house.query("SELECT stage, verdict FROM second_reviews") == [("settled", "model")]
