"""What the forms of the desk do, over real HTTP: claims, fences, decisions, editing, undo, bulk, and what the audit says of it."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from jobs import review
from schemas.failure import FailureReason
from storage.database import Database
from tests.desk_world import (
    INVOICE_MODEL,
    LETTER,
    a_letter,
    a_reviewer,
    an_invoice,
    ask,
    in_review,
    served,
    to_second_review,
)
from tests.house import House, settings_of
from tests.visitor import Visitor

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(scope="module")
def url(house: House) -> Iterator[str]:
    """The web, served for this file."""
    with served(settings_of(house)) as address:
        yield address


@pytest.fixture
def reviewer(database: Database, tenant: str) -> str:
    """A login of the test's tenant."""
    return a_reviewer(database, tenant)


@pytest.fixture
def ada(clean: None, url: str, reviewer: str) -> Iterator[Visitor]:
    """The reviewer, signed in."""
    with Visitor(base_url=url) as visitor:
        visitor.sign_in(reviewer)
        yield visitor


class Desk:
    """A review as its reviewer works on it."""

    def __init__(self, visitor: Visitor, job_id: UUID, house: House) -> None:
        self.visitor, self.job_id, self.house = visitor, job_id, house
        self.csrf = visitor.token()

    def do(self, action: str, **data: str | list[str]) -> tuple[int, str]:
        """Press a button; the status, and where it leads or what it shows."""
        fence = str(self.house.query("SELECT fence FROM reviews WHERE job_id = %s", self.job_id)[0][0])
        sent = {"csrf": self.csrf, "fence": fence, "action": action, **data}
        answer = self.visitor.post(f"/desk/items/{self.job_id}", data=sent)
        return answer.status_code, answer.headers.get("location") or answer.text

    def pending(self) -> tuple[str | None, dict[str, object] | None]:
        """What is set down."""
        rows = self.house.query("SELECT pending, pending_output FROM reviews WHERE job_id = %s", self.job_id)
        return rows[0]

    def kinds(self) -> list[str]:
        """What the audit says."""
        rows = self.house.query("SELECT kind FROM events WHERE job_id = %s ORDER BY at", self.job_id)
        return [kind for (kind,) in rows]


def classified(label: str = "billing", evidence: str = "refund the invoice") -> dict[str, str | list[str]]:
    """The form of a letter."""
    return {"answer.labels": label, "answer.evidence": evidence}


def test_every_look_and_decision_is_in_the_audit(
    house: House, database: Database, tenant: str, reviewer: str, ada: Visitor
) -> None:
    """Seen, claimed, seen, decided, undone: each with who it was."""
    desk = Desk(ada, a_letter(database, tenant), house)
    ada.get(f"/desk/items/{desk.job_id}")
    assert desk.do("claim") == (303, f"/desk/items/{desk.job_id}")
    ada.get(f"/desk/items/{desk.job_id}")
    assert desk.do("accept", **classified())[0] == 303
    ada.post("/desk/undo", data={"csrf": desk.csrf, "tenant": tenant, "job": str(desk.job_id)})
    kinds = desk.kinds()
    assert [kind for kind in kinds if kind != "review_seen"] == ["review_claimed", "decided", "decision_undone"]
    assert kinds[0] == "review_seen"
    assert house.query("SELECT DISTINCT actor FROM events WHERE job_id = %s", desk.job_id) == [(reviewer,)]


def test_looking_claims_nothing(house: House, database: Database, tenant: str, ada: Visitor) -> None:
    """A page that is opened, by a link or by a browser that fetches ahead, takes nothing from others."""
    job_id = a_letter(database, tenant)
    assert "Nobody holds this" in ada.get(f"/desk/items/{job_id}").text
    assert house.query("SELECT reviewer, fence FROM reviews") == [(None, 0)]


def test_what_is_accepted_is_what_the_form_says(house: House, database: Database, tenant: str, ada: Visitor) -> None:
    """Unchanged it is the suggestion, accepted; changed by a letter it is the person's own answer."""
    first, second = (Desk(ada, a_letter(database, tenant), house) for _ in range(2))
    for desk in (first, second):
        desk.do("claim")
    assert first.do("accept", **classified()) == (303, "/desk")
    assert first.pending()[0] == "accept"
    second.do("accept", **classified(label="other"))
    decision, output = second.pending()
    assert decision == "edit"
    assert output == {
        "outcome": "classification",
        "labels": ["other"],
        "evidence": "refund the invoice",
        "confidence": None,
    }


def test_a_decision_counts_under_its_own_claim_alone(
    house: House, database: Database, tenant: str, ada: Visitor
) -> None:
    """A tab left open from before an own second claim decides nothing: 409, with what was typed still in the form."""
    desk = Desk(ada, a_letter(database, tenant), house)
    desk.do("claim")
    desk.do("claim")
    status, page = desk.do("accept", **{**classified(evidence="arrived broken"), "fence": "1"})
    assert status == 409
    assert "arrived broken</textarea>" in page
    assert desk.pending()[0] is None
    status, page = desk.do("reclaim", **classified(evidence="arrived broken"))
    assert status == 200
    assert "arrived broken</textarea>" in page
    assert desk.do("accept", **classified(evidence="arrived broken"))[0] == 303


def test_what_breaks_the_contract_is_said_at_its_field(
    house: House, database: Database, tenant: str, ada: Visitor
) -> None:
    """422, the message is tied to its field, which is marked and gets the focus; nothing is decided."""
    desk = Desk(ada, a_letter(database, tenant), house)
    desk.do("claim")
    status, page = desk.do("accept", **classified(evidence="a purple elephant"))
    assert status == 422
    assert 'id="f-evidence-error">does not stand in the document' in page
    field = page[page.index('<textarea id="f-evidence"') :].split(">")[0]
    assert 'aria-invalid="true"' in field
    assert "f-evidence-error" in field
    assert "autofocus" in field
    assert desk.do("accept", **{"answer.evidence": "refund the invoice"})[0] == 422
    assert desk.do("accept", **classified(label="a label that was never offered"))[0] == 422
    assert desk.pending() == (None, None)


def test_unknown_buttons_do_nothing(house: House, database: Database, tenant: str, ada: Visitor) -> None:
    """Actions that no button has are not found; edits of paths that lead nowhere change nothing."""
    desk = Desk(ada, an_invoice(database, tenant), house)
    desk.do("claim")
    for action in ("", "explode", "accept_all", "undo"):
        assert desk.do(action)[0] == 404
    for action in (
        "remove:",
        "remove:x.9",
        "use:nobody",
        "take:model:",
        "take::",
        "add:",
        "take:nobody:fields.total",
        "add:outcome",
    ):
        assert desk.do(action)[0] in (200, 422), action
    assert desk.pending() == (None, None)


def test_a_suggestion_that_the_task_does_not_apply(house: House, database: Database, tenant: str, ada: Visitor) -> None:
    """It stands as the reason, ready to be confirmed."""
    told = {"outcome": "not_applicable", "reason": "This is a recipe."}
    job_id = in_review(database, tenant, "classify", ask("classify"), rules=told, reason=FailureReason.NOT_APPLICABLE)
    desk = Desk(ada, job_id, house)
    desk.do("claim")
    assert "This is a recipe.</textarea>" in ada.get(f"/desk/items/{job_id}").text
    desk.do("not_applicable", reason="This is a recipe.")
    assert desk.pending() == ("not_applicable", told)


def test_a_review_without_suggestions_can_be_answered(
    house: House, database: Database, tenant: str, ada: Visitor
) -> None:
    """The form is empty and works."""
    desk = Desk(ada, in_review(database, tenant, "classify", ask("classify"), reason=FailureReason.REFUSED), house)
    desk.do("claim")
    assert "no suggestion" in ada.get(f"/desk/items/{desk.job_id}").text
    desk.do("accept", **classified())
    assert desk.pending()[0] == "edit"


def test_models_that_answer_nonsense_break_no_page(house: House, database: Database, tenant: str, ada: Visitor) -> None:
    """Whatever shape the model's answer has, the page of its review is shown."""
    for nonsense in (
        "no JSON", "[]", '{"answer": []}', '{"answer": {"outcome": "extraction", "fields": [1, {"quote": 5}], "not_found": {}}}',
        '{"answer": {"fields": {"lines": "x", "total": {"value": {"a": [[]]}, "quote": null}, "issuer": [[]]}}}',
        '{"answer": {"fields": {"total": {"value": 1e999, "quote": "x"}, "issue_date": {"value": -5, "quote": ""}}}}',
    ):  # fmt: skip
        desk = Desk(ada, in_review(database, tenant, "extract", ask("extract"), model=nonsense), house)
        desk.do("claim")
        assert ada.get(f"/desk/items/{desk.job_id}").status_code == 200, nonsense
        assert desk.do("use:model")[0] in (200, 422), nonsense


def test_the_queue_shows_pages_and_takes_no_cursor_for_granted(database: Database, tenant: str, ada: Visitor) -> None:
    """Fifty lines a page, the next ones behind a cursor; a broken cursor begins anew."""
    for _ in range(52):
        a_letter(database, tenant)
    page = ada.get("/desk").text
    assert page.count("data-line") == 50
    rest = page.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert ada.get(rest).text.count("data-line") == 2
    assert ada.get("/desk?cursor=nonsense").headers["location"] == "/desk"


def test_skipping_leads_on(house: House, database: Database, tenant: str, ada: Visitor) -> None:
    """A skipped review is free for others at once and not this person's next one; the filter is kept."""
    first, second = (Desk(ada, a_letter(database, tenant), house) for _ in range(2))
    first.do("claim")
    answer = ada.post(
        f"/desk/items/{first.job_id}?task=classify",
        data={"csrf": first.csrf, "fence": "1", "action": "skip", "then": "next"},
    )
    assert answer.headers["location"] == f"/desk/items/{second.job_id}?task=classify"
    assert review.claim(database, tenant, "bob", 60, job_id=first.job_id) is not None


def test_undo_is_of_who_decided_and_within_the_minute(
    house: House, database: Database, tenant: str, url: str, ada: Visitor
) -> None:
    """Somebody else's undo does nothing; after the grace it is too late, which the page says."""
    desk = Desk(ada, a_letter(database, tenant), house)
    desk.do("claim")
    desk.do("accept", **classified())
    with Visitor(base_url=url) as bob:
        bob.sign_in(a_reviewer(database, tenant, name="bob"))
        data = {"csrf": bob.token(), "tenant": tenant, "job": str(desk.job_id)}
        assert bob.post("/desk/undo", data=data).headers["location"] == "/desk?notice=too-late"
    assert desk.pending()[0] == "accept"
    house.run(f"UPDATE reviews SET effective_at = now() - interval '1 second' WHERE job_id = '{desk.job_id}'")
    data = {"csrf": desk.csrf, "tenant": tenant, "job": str(desk.job_id)}
    assert ada.post("/desk/undo", data=data).headers["location"] == "/desk?notice=too-late"
    assert "too late" in ada.get("/desk?notice=too-late").text
    assert house.query("SELECT state, answered_by FROM jobs WHERE id = %s", desk.job_id) == [("answered", "person")]


def test_a_finished_review_can_be_looked_at(house: House, database: Database, tenant: str, ada: Visitor) -> None:
    """It shows who decided and has no form."""
    desk = Desk(ada, a_letter(database, tenant), house)
    desk.do("claim")
    desk.do("accept", **classified(), note="plainly billing")
    house.run(f"UPDATE reviews SET effective_at = now() - interval '1 second' WHERE job_id = '{desk.job_id}'")
    ada.get("/desk")
    page = ada.get(f"/desk/items/{desk.job_id}").text
    assert "decided this (accept)" in page
    assert "plainly billing" in page
    assert 'name="action" value="accept"' not in page


def test_the_blind_page_holds_nothing_of_the_model(database: Database, tenant: str, ada: Visitor) -> None:
    """Neither label nor evidence of the model's answer is in the page that the second person answers from, before or after
    editing it; accepting is no decision there."""
    job_id = to_second_review(database, tenant, label="shipping", evidence="The parcel had been opened")
    csrf = ada.token()
    ada.post(f"/desk/second/{job_id}", data={"csrf": csrf, "action": "claim"})
    pages = [
        ada.get(f"/desk/second/{job_id}").text,
        *(
            ada.post(f"/desk/second/{job_id}", data={"csrf": csrf, "fence": "1", "action": action}).text
            for action in ("use:model", "take:model:labels", "check", "accept", "judge")
        ),
    ]
    for page in pages:
        assert "<mark" not in page
        assert 'value="shipping" checked' not in page
        assert page.count("The parcel had been opened") == LETTER.count("The parcel had been opened")
    assert ada.get(f"/desk/items/{job_id}").status_code == 404


def test_too_much_is_refused(house: House, database: Database, tenant: str, ada: Visitor) -> None:
    """A form beyond the bound is refused before it is read; very many fields too; nothing breaks."""
    desk = Desk(ada, an_invoice(database, tenant), house)
    desk.do("claim")
    assert desk.do("check", **{"answer.fields.total.value": "9" * 5_000_000})[0] == 413
    many = {f"answer.x{number}": "" for number in range(6000)}
    assert desk.do("check", **many)[0] in (400, 413)
    rows = {"answer.fields.lines:rows": [str(number) for number in range(2000)]}
    assert desk.do("add:fields.lines", **rows)[0] == 200
    assert desk.pending() == (None, None)
    assert INVOICE_MODEL["outcome"] == "extraction"


def test_a_heartbeat_of_the_other_kind_finds_nothing(database: Database, tenant: str, ada: Visitor) -> None:
    """A review has no second review and the other way round: 404, as for a job that nobody knows."""
    first = a_letter(database, tenant)
    second = to_second_review(database, tenant, label="shipping", evidence="The parcel had been opened")
    data = {"csrf": ada.token(), "fence": "0"}
    for address in (f"/desk/items/{second}/renew", f"/desk/second/{first}/renew"):
        assert ada.post(address, data=data).status_code == 404


def test_jobs_that_are_in_no_review_have_no_page(ada: Visitor) -> None:
    """An unknown id, and one that is none."""
    assert ada.get(f"/desk/items/{uuid4()}").status_code == 404
    assert ada.get("/desk/items/one").status_code == 404
