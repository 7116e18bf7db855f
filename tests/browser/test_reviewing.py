"""A reviewer's day in a real browser: claim, quote, correct, be told off, accept, take back, all by keyboard."""

import re
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from jobs import review, show
from schemas.settings import Settings
from storage.database import Database
from tests.browser.conftest import Open, Person
from tests.desk_world import a_letter, a_reviewer, an_invoice
from tests.house import House, eventually, settings_of

pytestmark = pytest.mark.usefixtures("clean")


def held_by(house: House, job_id: UUID) -> str | None:
    """Who holds a review now."""
    rows = house.query("SELECT reviewer FROM reviews WHERE job_id = %s AND lease_until > now()", job_id)
    return rows[0][0] if rows else None


def pending(house: House, job_id: UUID) -> tuple[str | None, dict[str, object] | None]:
    """What is decided and not yet in effect."""
    ((decision, output),) = house.query("SELECT pending, pending_output FROM reviews WHERE job_id = %s", job_id)
    return decision, output


def until_focused(page: Page, key: str, what: str) -> None:
    """Press a key until this has the focus."""
    for _ in range(80):
        if page.evaluate("(what) => document.activeElement.matches(what)", what):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} never leads to {what}")


def test_a_whole_review_by_keyboard(
    house: House, database: Database, tenant: str, open_browser: Open, reviewer: str
) -> None:
    """Sign in, claim, pick a quote, correct a nested field, get an error at a field, correct it, accept, undo: no mouse."""
    job_id = an_invoice(database, tenant)
    person = open_browser()
    page, keys = person.page, person.page.keyboard
    page.goto(f"{person.url}/desk")
    expect(page.get_by_label("Login")).to_be_focused()
    keys.type(reviewer)
    keys.press("Tab")
    keys.type("a long and quiet word")
    keys.press("Enter")
    page.get_by_role("heading", name="Review queue").wait_for()
    person.claim_next()
    assert held_by(house, job_id) == reviewer

    keys.press("e")
    until_focused(page, "Tab", '[name="answer.fields.issuer.vat_id.value"]')
    keys.type("DE811907980")
    keys.press("Escape")
    keys.press("t")  # the source; two words up from its end stands the number
    keys.press("ArrowDown")
    page.evaluate(
        "getSelection().collapse(document.getElementById('source'), document.getElementById('source').childNodes.length)"
    )
    for _ in range(2):
        keys.press("Shift+ArrowLeft")
    selected = page.evaluate("getSelection().toString()")
    assert "DE811907980" in selected
    keys.press("Enter")
    quote = page.locator('[name="answer.fields.issuer.vat_id.quote"]')
    expect(quote).to_be_focused()
    assert "DE811907980" in quote.input_value()
    expect(page.locator("#f-fields_2e_issuer_2e_vat_id_2e_quote-stands")).to_contain_text("stands in the source")

    until_focused(page, "Shift+Tab", '[name="answer.fields.total.value"]')
    keys.press("Control+a")
    keys.type("554,54")
    keys.press("Escape")
    keys.press("a")
    wrong = page.locator('[name="answer.fields.total.value"]')
    expect(wrong).to_be_focused()
    expect(wrong).to_have_attribute("aria-invalid", "true")
    said = page.locator(f"#{(wrong.get_attribute('aria-describedby') or '').split()[-1]}")
    expect(said).to_have_text("must be a number such as 1234.5, without currency")
    assert pending(house, job_id) == (None, None)

    keys.press("Control+a")
    keys.type("554.54")
    keys.press("Tab")
    keys.press("Control+a")
    keys.type("Total EUR 999")  # not in the source: the contract refuses it
    expect(page.locator("#f-fields_2e_total_2e_quote-stands")).to_contain_text("not found in the source")
    keys.press("Escape")
    keys.press("a")
    quote = page.locator('[name="answer.fields.total.quote"]')
    expect(quote).to_be_focused()
    expect(page.locator("#f-fields_2e_total_2e_quote-error")).to_have_text("does not stand in the document")
    keys.press("Control+a")
    keys.type("Total EUR       554.54")
    keys.press("Escape")
    keys.press("a")

    page.get_by_role("heading", name="Review queue").wait_for()
    decision, output = pending(house, job_id)
    assert decision == "edit"
    assert output is not None
    fields = output["fields"]
    assert isinstance(fields, dict)
    assert fields["total"]["value"] == 554.54
    assert fields["issuer"]["vat_id"]["value"] == "DE811907980"
    assert show.show(database, tenant, job_id).state == "in_review"

    person.press("u")
    page.get_by_role("heading", name="Extract").wait_for()
    assert pending(house, job_id) == (None, None)
    assert held_by(house, job_id) == reviewer


def test_accepting_what_was_suggested(house: House, database: Database, tenant: str, person: Person) -> None:
    """An unchanged form is the suggestion, accepted as it is; the next review is there at once."""
    letters = {a_letter(database, tenant) for _ in range(2)}
    person.claim_next()
    first = UUID(person.page.url.rsplit("/", 1)[1])
    person.press("a")
    person.page.wait_for_url(lambda url: "/items/" in url and str(first) not in url)
    assert pending(house, first)[0] == "accept"
    assert {first, UUID(person.page.url.rsplit("/", 1)[1])} == letters


def test_two_browsers_race_for_one_review(
    house: House, database: Database, tenant: str, open_browser: Open, reviewer: str
) -> None:
    """Both see it free and claim it: one gets it, the other is told; what the other then finds is nothing."""
    job_id = a_letter(database, tenant)
    other = a_reviewer(database, tenant, name="bob")
    ada, bob = open_browser(), open_browser()
    ada.sign_in(reviewer)
    bob.sign_in(other)
    for someone in (ada, bob):
        someone.page.goto(f"{someone.url}/desk/items/{job_id}")
        expect(someone.page.get_by_role("button", name="Claim it")).to_be_visible()
    ada.press("n")
    expect(ada.page.get_by_role("button", name="Accept")).to_be_visible()
    bob.press("n")
    expect(bob.page.get_by_role("status")).to_contain_text("Somebody else was faster")
    bob.press("n")
    expect(bob.page.get_by_role("status").first).to_contain_text("Nothing is waiting that nobody else holds")
    expect(bob.page.get_by_role("heading", name="Held by others")).to_be_visible()
    assert held_by(house, job_id) == reviewer


def test_rows_are_added_and_removed_in_place(database: Database, tenant: str, person: Person) -> None:
    """With JavaScript the page stays: the new row has the focus, what was typed elsewhere is kept, the source stays scrolled."""
    an_invoice(database, tenant)
    page = person.page
    person.claim_next()
    page.get_by_label("Total", exact=False).first.fill("1")
    page.evaluate("document.documentElement.dataset.same = 'yes'")
    page.get_by_role("button", name="Add to lines").click()
    fresh = page.locator('[name="answer.fields.lines.1.description.value"]')
    expect(fresh).to_be_focused()
    fresh.fill("Express delivery")
    page.get_by_role("button", name="Remove Line 1").click()
    expect(page.locator('[name="answer.fields.lines.0.description.value"]')).to_have_value("Express delivery")
    expect(page.locator('[name="answer.fields.total.value"]')).to_have_value("1")
    page.get_by_role("button", name="Use Total of model").click()
    expect(page.locator('[name="answer.fields.total.value"]')).to_have_value("554.54")
    assert page.evaluate("document.documentElement.dataset.same") == "yes"


def test_a_quote_is_picked_with_the_mouse(database: Database, tenant: str, person: Person) -> None:
    """Words selected in the source go into the quote field that was used last, and the button says into which."""
    a_letter(database, tenant)
    page = person.page
    person.claim_next()
    evidence = page.get_by_label("Evidence")
    evidence.click()
    expect(page.locator("#pick-for")).to_contain_text("Evidence")
    page.evaluate(
        """() => { const walker = document.createTreeWalker(document.getElementById('source'), NodeFilter.SHOW_TEXT);
        for (let node; (node = walker.nextNode());) { const at = node.data.indexOf('arrived broken');
          if (at >= 0) getSelection().setBaseAndExtent(node, at, node, at + 14); } }"""
    )
    page.get_by_role("button", name="Use the selection as quote").click()
    expect(evidence).to_have_value("arrived broken")


def test_keys_do_nothing_while_somebody_types(house: House, database: Database, tenant: str, person: Person) -> None:
    """Letters in a field are letters; with single keys switched off they do nothing anywhere."""
    job_id = a_letter(database, tenant)
    page = person.page
    person.claim_next()
    page.get_by_label("Evidence").press_sequentially("assn?")
    assert page.url.endswith(str(job_id))
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    page.get_by_label("Single keys do something").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    page.reload()
    person.press("s")
    assert held_by(house, job_id) is not None
    expect(page.get_by_role("button", name="Accept")).to_be_visible()


def test_not_this_task_needs_a_reason(house: House, database: Database, tenant: str, person: Person) -> None:
    """Without one the field says so and has the focus; with one it is the decision."""
    job_id = a_letter(database, tenant)
    page = person.page
    person.claim_next()
    person.press("x")
    reason = page.get_by_label("does not apply")
    expect(reason).to_be_focused()
    page.get_by_role("button", name="Not this task").click()
    expect(reason).to_be_focused()
    expect(page.locator("#reason-error")).to_have_text("say in a few words why the task does not apply")
    reason.fill("An advertisement.")
    page.get_by_role("button", name="Not this task").click()
    page.get_by_role("heading", name="Review queue").wait_for()
    assert pending(house, job_id) == ("not_applicable", {"outcome": "not_applicable", "reason": "An advertisement."})


def test_alike_ones_are_accepted_together_and_taken_back(
    house: House, database: Database, tenant: str, person: Person
) -> None:
    """One button accepts the suggestion of all that have the same, one undo takes all of them back."""
    jobs = {a_letter(database, tenant) for _ in range(3)}
    page = person.page
    page.reload()
    page.get_by_role("button", name="Accept 3 together").click()
    expect(page.locator("main [role=status]")).to_contain_text("3 accepted together.")
    assert {pending(house, job)[0] for job in jobs} == {"accept"}
    person.press("u")
    expect(page.locator("main [role=status]")).to_contain_text("was taken back")
    assert {pending(house, job)[0] for job in jobs} == {None}


class TestShortClaims:
    """Claims that end after two seconds unless somebody goes on."""

    @pytest.fixture
    def settings(self, house: House) -> Settings:
        """With short claims."""
        return settings_of(house, review_lease_seconds=2)

    def test_an_open_page_holds_its_review(self, house: House, database: Database, tenant: str, person: Person) -> None:
        """While somebody works on it, heartbeats renew the claim past its first end: nobody else gets it."""
        job_id = a_letter(database, tenant)
        person.claim_next()
        ((first,),) = house.query("SELECT lease_until FROM reviews WHERE job_id = %s", job_id)
        for _ in range(4):
            with person.page.expect_response(re.compile("/renew$")) as beat:
                person.page.keyboard.press("Shift")
            assert beat.value.ok
        eventually(lambda: house.query("SELECT now() > %s", first)[0][0], "the first claim would be over")
        assert review.claim(database, tenant, "somebody else", 60) is None

    def test_a_page_that_was_left_open_holds_nothing(
        self, house: House, database: Database, tenant: str, person: Person
    ) -> None:
        """Nobody touches it for a whole claim: the review returns to the queue, and the page says so."""
        job_id = a_letter(database, tenant)
        person.claim_next()
        eventually(lambda: held_by(house, job_id) is None, "the claim is over")
        expect(person.page.locator("#claim-lost")).to_contain_text("You were away")
        assert review.claim(database, tenant, "somebody else", 60) is not None

    def test_an_abandoned_claim_returns_and_the_late_one_is_told(
        self, house: House, database: Database, tenant: str, open_browser: Open, reviewer: str
    ) -> None:
        """A browser that falls silent loses its review to the next person; when it comes back, its decision does not count,
        and what was typed is still there to go on with."""
        job_id = a_letter(database, tenant)
        ada, bob = open_browser(java_script_enabled=False), open_browser()  # without JavaScript there are no heartbeats
        ada.sign_in(reviewer)
        ada.page.get_by_role("button", name="Claim the next").click()
        ada.page.get_by_label("Evidence").fill("arrived broken")
        eventually(lambda: held_by(house, job_id) is None, "the claim is over")
        bob.sign_in(a_reviewer(database, tenant, name="bob"))
        bob.press("n")
        expect(bob.page.get_by_role("button", name="Accept")).to_be_visible()
        ada.page.get_by_role("button", name="Accept").click()
        expect(ada.page.get_by_role("alert")).to_contain_text("Your claim has ended: bob")
        expect(ada.page.get_by_label("Evidence")).to_have_value("arrived broken")
        assert pending(house, job_id)[0] is None
        bob.press("s")
        bob.page.get_by_role("heading", name="Review queue").wait_for()
        ada.page.get_by_role("button", name="Claim it again").click()
        expect(ada.page.get_by_label("Evidence")).to_have_value("arrived broken")
        ada.page.get_by_role("button", name="Accept").click()
        expect(ada.page.get_by_role("heading", name="Review queue")).to_be_visible()
        decision, output = pending(house, job_id)
        assert decision == "edit"
        assert output is not None
        assert output["evidence"] == "arrived broken"

    def test_an_open_page_says_that_its_claim_is_lost(
        self, house: House, database: Database, tenant: str, person: Person
    ) -> None:
        """The next heartbeat tells, without a reload and without losing what was typed."""
        job_id = a_letter(database, tenant)
        person.claim_next()
        person.page.get_by_label("Evidence").fill("a parcel")
        house.run(f"UPDATE reviews SET reviewer = 'bob', fence = fence + 1 WHERE job_id = '{job_id}'")
        person.page.keyboard.press("Shift")
        expect(person.page.locator("#claim-lost")).to_contain_text("has ended")
        expect(person.page.get_by_label("Evidence")).to_have_value("a parcel")
