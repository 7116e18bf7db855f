"""A real Chromium against the real web over the tests' own database.

The browser is ASSAY_CHROMIUM, else one on the path, else Playwright's own. Without any these tests are skipped, and the run
says so at its end; with ASSAY_CHROMIUM set to something that is not there they fail.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from schemas.settings import Settings
from storage.database import Database
from tests.desk_world import PASSWORD, a_reviewer, served
from tests.house import House, settings_of

HERE = Path(__file__).parent
_WANTED = os.environ.get("ASSAY_CHROMIUM")
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_REPORTED = ("403", "404", "409", "422", "429")
"""Statuses of our own pages, which Chromium reports in its console as failures to load."""


def _chromium() -> str | None:
    if _WANTED:
        return _WANTED
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        with sync_playwright() as playwright:
            own = playwright.chromium.executable_path
        found = own if Path(own).exists() else None
    return found


CHROMIUM = _chromium()
MISSING = "NO CHROMIUM: the browser tests did not run. Install Chromium, or set ASSAY_CHROMIUM to its program."


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser these tests do not run, and say why."""
    if CHROMIUM is None:
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=MISSING))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Nobody overlooks that they did not run."""
    if CHROMIUM is None:
        terminalreporter.section("BROWSER TESTS SKIPPED", sep="!", red=True, bold=True)
        terminalreporter.line(MISSING, red=True)


@dataclass
class Person:
    """A browser of its own, with everything in it that nobody wants to see.

    Attributes:
        noise: errors in the console (violations of the Content-Security-Policy among them), exceptions, dialogs.
    """

    context: BrowserContext
    page: Page
    url: str
    noise: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """To an address of ours."""
        self.page.goto(f"{self.url}{path}")

    def sign_in(
        self, login: str, password: str = PASSWORD, *, path: str = "/desk", title: str = "Review queue"
    ) -> None:
        """By the form, to the queue or another page."""
        self.go(path)
        self.page.get_by_label("Login").fill(login)
        self.page.get_by_label("Password or key").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name=title).wait_for()

    def press(self, key: str) -> None:
        """A single key, once the page listens to keys."""
        self.page.locator("#show-keys").wait_for()
        self.page.keyboard.press(key)

    def claim_next(self) -> None:
        """By its key; the page of the review listens then."""
        self.press("n")
        self.page.wait_for_url("**/items/*")
        self.page.locator("#show-keys").wait_for()


Open = Callable[..., Person]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium per file: Playwright's loop must not outlive the file, tests elsewhere have loops of their own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        yield browser
        browser.close()


@pytest.fixture
def settings(house: House) -> Settings:
    """Of the web that is looked at; a test file may have others."""
    return settings_of(house)


@pytest.fixture
def url(clean: None, settings: Settings) -> Iterator[str]:
    """The web, served for this test."""
    with served(settings) as address:
        yield address


@pytest.fixture
def reviewer(database: Database, tenant: str) -> str:
    """The login of a reviewer of the test's tenant."""
    return a_reviewer(database, tenant)


@pytest.fixture
def open_browser(browser: Browser, url: str) -> Iterator[Open]:
    """Makes browsers of people; at the end of the test none of them may have complained."""
    people: list[Person] = []

    def opened(**options: Any) -> Person:
        usual: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"}
        context = browser.new_context(**usual | options)
        page = context.new_page()
        page.set_default_timeout(15_000)
        person = Person(context, page, url)
        page.on("console", lambda message: _heard(person, message))
        page.on("pageerror", lambda error: person.noise.append(f"exception: {error}"))

        def dialog(shown: object) -> None:
            person.noise.append(f"dialog: {shown}")
            shown.dismiss()  # type: ignore[attr-defined]

        page.on("dialog", dialog)
        people.append(person)
        return person

    yield opened
    for person in people:
        person.context.close()
    assert [noise for person in people for noise in person.noise] == []


@pytest.fixture
def person(open_browser: Open, reviewer: str) -> Person:
    """The reviewer, signed in."""
    found = open_browser()
    found.sign_in(reviewer)
    return found


def _heard(person: Person, message: ConsoleMessage) -> None:
    if message.type != "error":
        return
    expected = "Failed to load resource" in message.text and any(
        f"status of {one}" in message.text for one in _REPORTED
    )
    if not expected:
        person.noise.append(f"console: {message.text}")
