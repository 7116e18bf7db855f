"""The operators' pages with a day of work behind them, and work going on: nothing that axe finds serious, nothing that scrolls
sideways, in light and dark, on a laptop and a tablet; and pictures of them."""

from collections.abc import Iterator

import pytest

from jobs import review, show
from jobs.review import Decision
from jobs.tenancy import create_tenant, list_tenants
from schemas.access import Role
from schemas.job import JobState
from stack.scripted import plays
from storage.database import Database
from tests.browser.conftest import Open
from tests.browser.looking import TABLET, look_at
from tests.browser.operator_pages import OPERATORS
from tests.desk_world import LETTER, LETTER_LABELS, a_letter, a_reviewer, an_invoice
from tests.house import House, Workers, eventually, landed, submit_text, submit_texts
from tests.operations_world import a_day_of_work, count_everything

OTHER = "globex"
WIDTHS = (1280, TABLET, 390)


@pytest.fixture
def tenant(database: Database) -> str:
    """One with a name that looks well in a picture, and another whose texts the operator may not read."""
    known = {one["id"] for one in list_tenants(database)}
    for name in {"acme", OTHER} - known:
        create_tenant(database, name, "of the pictures")
    return "acme"


@pytest.fixture
def busy_house(
    nothing_counted: None, house: House, database: Database, tenant: str, workers: Workers
) -> Iterator[None]:
    """A day that is over, a review with a story, and workers that have more to do than slots."""
    a_day_of_work(house, database, [tenant, OTHER])
    house.provider.play(plays.ungrounded(), contains="one of them arrived broken")
    house.provider.play(plays.drip(interval=1.0, size=4), contains="slowly")
    with house.provider.limit(
        requests_per_minute=1000, input_tokens_per_minute=400_000, output_tokens_per_minute=80_000
    ):
        workers.start(2)
        story = submit_text(database, tenant, LETTER, labels=LETTER_LABELS)
        landed(database, OTHER, submit_texts(database, OTHER, [f"document {number}" for number in range(6)]))
        eventually(lambda: show.show(database, tenant, story).state is JobState.IN_REVIEW, "it is in review")
        assert review.claim(database, tenant, "ada", 60, job_id=story) is not None
        answer = {"outcome": "classification", "labels": ["damaged goods"], "evidence": "one of them arrived broken"}
        review.decide(database, tenant, story, "ada", Decision.EDIT, output=answer, note="The lamp, not the invoice.")
        for number in range(4):
            an_invoice(database, tenant if number else OTHER)
            a_letter(database, tenant)
        house.run(
            "UPDATE reviews SET created_at = created_at - interval '3 hours' WHERE task = 'extract' AND decision IS NULL"
        )
        submit_texts(database, tenant, [f"goes on slowly {number}" for number in range(16)])
        eventually(lambda: house.query("SELECT 1 FROM workers WHERE busy > 5"), "workers are busy")
        count_everything(house, database)
        yield


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("busy_house")
def test_pages_can_be_read_by_everybody(database: Database, tenant: str, open_browser: Open) -> None:
    """axe finds nothing serious or critical on any page, in light or dark, and no page is wider than a laptop's, a tablet's or a
    phone's window; the alert of the bad prompt version stands on the first one."""
    login = a_reviewer(database, tenant, name="olga", role=Role.OPERATOR)
    wrong = []
    for scheme in ("light", "dark"):  # one after the other: the day of work takes long to write and to count
        person = open_browser(color_scheme=scheme)
        person.sign_in(login, path="/operators", title="Operations")
        if scheme == "light":  # it ends five minutes after the last bad reply
            assert person.page.get_by_text("Alert SchemaFailures fires").is_visible()
        wrong += [
            f"{scheme}: {one}"
            for one in look_at(person, OPERATORS, scheme, prefix="operators", width=1280, widths=WIDTHS)
        ]
    assert not wrong, "\n".join(wrong)
