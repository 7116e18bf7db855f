"""What documents, models and addresses try to do to a reviewer's browser: nothing of it runs, all of it can be read."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from schemas.failure import FailureReason
from storage.database import Database
from tests.browser.conftest import Open, Person
from tests.desk_world import in_review, leaf
from tests.house import House

pytestmark = pytest.mark.usefixtures("clean")

MARK = "window.__ran = (window.__ran || 0) + 1"
ATTACKS = [
    f"<script>{MARK}</script>",
    f"</textarea><script>{MARK}</script>",
    f"</mark></div></section><img src=x onerror='{MARK}'>",
    f"\"><svg onload='{MARK}'>",
    f"' autofocus onfocus='{MARK}' x='",
    f"javascript:{MARK}",
    f"<iframe srcdoc=\"<script>parent.{MARK}</script>\"></iframe>",
    f"<math><mtext><table><mglyph><style><!--</style><img title='--><img src=1 onerror={MARK}>'>",
    f"<details open ontoggle='{MARK}'>x</details>",
    f"<a href='javascript:{MARK}'>click</a>",
    "<form action='https://evil.example/'><button name=csrf>send</button></form><base href='https://evil.example/'>",
    "<style>*{display:none}</style><link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<!--", "]]>", "{{ 7*7 }}{% raw %}", "${7*7}", "&lt;script&gt;", "\u202e\u2066txt.exe", "<plaintext>",
]  # fmt: skip
SLIPPED_THROUGH = """(code) => {
    const script = document.createElement('script');
    script.textContent = code;
    const image = document.createElement('img');
    image.setAttribute('onerror', code);
    image.src = 'data:,';
    const styled = document.createElement('div');
    styled.id = 'styled';
    styled.innerHTML = '<p style="color: red">x</p>';
    document.body.append(script, image, styled);
}"""
LABEL = f"<img src=x onerror='{MARK}'>"


def naughty() -> list[str]:
    """The Big List of Naughty Strings, as far as a document may hold it."""
    with open("tests/data/blns/blns.jsonl", encoding="utf-8") as lines:
        texts = [str(json.loads(line)["text"]) for line in lines]
    return [text for text in texts if text.strip() and "\x00" not in text]


def unharmed(page: Page) -> None:
    """No script of the document ran, nothing of it became an element, and the page is still ours."""
    assert page.evaluate("window.__ran") is None
    foreign = "iframe, base, math, plaintext, img, form[action^='https:'], link[href^='//'], meta[http-equiv], [onerror], [onload]"
    assert page.locator(foreign).count() == 0
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def reviewed(person: Person) -> Page:
    """The page of the next review."""
    person.page.goto(f"{person.url}/desk")
    unharmed(person.page)
    person.claim_next()
    return person.page


def test_a_document_and_its_answers_stay_text(database: Database, tenant: str, person: Person) -> None:
    """Attacks in the text, in what the model said of it, in a label, in the failure's sentence and in field names: shown to the
    letter in source and form, and sent back unchanged."""
    text = "\n".join(ATTACKS)
    names = ["<img src=x onerror=alert(1)>", "a'b\"c", "</script>"]
    schema = {"type": "object", "properties": {name: {"type": "string", "description": ATTACKS[2]} for name in names}}
    rules = {
        "outcome": "extraction", "not_found": [],
        "fields": {name: leaf(attack, attack) for name, attack in zip(names, ATTACKS, strict=False)},
    }  # fmt: skip
    model: dict[str, Any] = {
        "outcome": "extraction",
        "fields": {name: leaf(attack, attack) for name, attack in zip(names, ATTACKS[3:], strict=False)},
    }
    in_review(
        database, tenant, "extract", {"text": text, "schema": schema},
        rules=rules, model=model, detail=ATTACKS[0], reason=FailureReason.UNGROUNDED,
    )  # fmt: skip
    page = reviewed(person)
    unharmed(page)
    assert page.locator("#source").text_content() == text
    for name, attack in zip(names, ATTACKS, strict=False):
        box = page.locator(f"[name={json.dumps(f'answer.fields.{name}.value')}]")
        assert box.input_value() == attack
    page.get_by_role("button", name="Use all of model").click()
    expect(page.locator(f"[name={json.dumps(f'answer.fields.{names[0]}.value')}]")).to_have_value(ATTACKS[3])
    unharmed(page)
    page.keyboard.press("Escape")
    person.press("c")
    expect(page.locator("main > [role=status]")).to_contain_text("This meets the contract.")
    unharmed(page)


def test_labels_and_notes_stay_text(house: House, database: Database, tenant: str, person: Person) -> None:
    """A label that is an attack can be chosen and accepted; it is stored as it is and shown as it is in the clusters."""
    request = {"text": "\n".join(ATTACKS), "labels": [LABEL, "other"]}
    rules = {"outcome": "classification", "labels": [LABEL], "evidence": ATTACKS[3], "confidence": None}
    for _ in range(2):
        in_review(database, tenant, "classify", request, rules=rules, reason=FailureReason.REFUSED, detail=ATTACKS[1])
    page = reviewed(person)
    unharmed(page)
    expect(page.get_by_role("radio", name=LABEL)).to_be_checked()
    person.press("x")
    page.get_by_label("Note", exact=True).fill(ATTACKS[3])
    page.get_by_role("button", name="Accept").click()
    page.get_by_role("button", name="Undo").wait_for()
    unharmed(page)
    assert house.query("SELECT pending_output->'labels'->>0, note FROM reviews WHERE pending IS NOT NULL") == [
        (LABEL, ATTACKS[3])
    ]


def test_naughty_strings_are_only_strings(database: Database, tenant: str, person: Person) -> None:
    """The whole list as one document with the worst of it as the model's answer: shown to the letter."""
    texts = naughty()
    assert len(texts) > 200
    text = "\n".join(texts).replace("\r\n", "\n").replace("\r", "\n")  # HTML knows one kind of line end
    worst = max((one for one in texts if "<" in one), key=len)[:1000]
    points = [{"point": one[:500], "quote": one[:500]} for one in texts if "script" in one.lower()][:20]
    model = {"outcome": "summary", "summary": worst, "key_points": points}
    in_review(database, tenant, "summarize", {"text": text}, model=model)
    page = reviewed(person)
    unharmed(page)
    assert page.locator("#source").text_content() == text
    assert page.locator('[name="answer.key_points.0.point"]').input_value() == points[0]["point"]


def test_addresses_cannot_carry_anything_in(person: Person) -> None:
    """What an address holds is shown nowhere as more than text, and notices come from a fixed list."""
    for attack in ATTACKS[:6]:
        for path in (
            "/desk?notice=",
            "/desk?task=",
            "/desk?cursor=",
            "/desk/second?notice=",
            "/signin?next=",
            "/desk/nowhere?",
        ):
            person.page.goto(f"{person.url}{path}{attack.replace('#', '%23')}")
            assert person.page.evaluate("window.__ran") is None
            assert person.page.locator("iframe, img, svg[onload]").count() == 0


def test_no_page_can_be_framed(open_browser: Open, person: Person) -> None:
    """A page elsewhere that frames the desk shows nothing of it."""
    other = open_browser()
    other.page.route("https://evil.example/", lambda route: route.fulfill(
        content_type="text/html", body=f"<h1>win</h1><iframe src='{person.url}/signin'></iframe>"))  # fmt: skip
    other.page.goto("https://evil.example/")
    other.page.get_by_role("heading", name="win").wait_for()
    assert all("Sign in" not in frame.content() for frame in other.page.frames[1:])
    other.noise[:] = [one for one in other.noise if "frame-ancestors" not in one and "frame" not in one.lower()]


def test_a_script_in_our_own_page_would_not_run(person: Person) -> None:
    """Even where something slipped through, the Content-Security-Policy stops it: inline scripts, handlers and styles do
    nothing, and each try is reported."""
    page = person.page
    page.evaluate(SLIPPED_THROUGH, MARK)
    expect(page.locator("#styled p")).not_to_have_css("color", "rgb(255, 0, 0)")
    assert page.evaluate("window.__ran") is None
    assert any("script-src" in one for one in person.noise)
    assert any("style-src" in one for one in person.noise)
    person.noise.clear()
