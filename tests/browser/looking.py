"""Looking at a page: what axe finds serious, what scrolls sideways, and a picture where pictures are wanted."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Person

PICTURES = os.environ.get("ASSAY_PICTURES")  # read before the tests forget the person's settings
"""Where pictures of the pages are to be kept; unset: nowhere."""
TABLET = 820
WIDTHS = (1440, 1280, 1024, TABLET, 768, 390)
NOWHERE = "no route"


@dataclass(frozen=True)
class Look:
    """A page as it is looked at.

    Attributes:
        route: its path as the application knows it; :data:`NOWHERE` where there is to be none.
        visit: leads a person there.
        on_tablet: whether a picture is taken on a tablet as well.
    """

    route: str
    visit: Callable[[Person], None]
    on_tablet: bool = False

    def is_at(self, address: str) -> bool:
        """Whether this address is of the route."""
        pattern = re.sub(r"\\{[a-z_]+\\}", "[^/]+", re.escape(self.route))
        return self.route == NOWHERE or re.fullmatch(pattern, urlsplit(address).path) is not None


def at(route: str, query: str = "", *, on_tablet: bool = False) -> Look:
    """A page that is had by its address."""
    return Look(route, lambda person: person.go(route + query), on_tablet)


def look_at(
    person: Person, looks: Mapping[str, Look], scheme: str, *, prefix: str, width: int, widths: Sequence[int] = WIDTHS
) -> list[str]:
    """Visit pages one after the other; what is wrong with any of them, in words.

    Args:
        prefix: of the names of pictures.
        width: of the window in which a page is visited, checked and pictured.
        widths: in none of which it may be too wide.
    """
    wrong: list[str] = []
    for name, look in looks.items():
        person.page.set_viewport_size({"width": width, "height": 900})
        look.visit(person)
        if not look.is_at(person.page.url):
            wrong.append(f"{name}: not at {look.route} but at {person.page.url}")
        wrong += check(person.page, name)
        picture(person.page, f"{prefix}-{name}-{scheme}")
        for one in widths:
            person.page.set_viewport_size({"width": one, "height": 900})
            extra = person.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            wrong += [f"{name}: {extra} pixels too wide at {one}"] if extra > 0 else []
            if one == TABLET and look.on_tablet:
                picture(person.page, f"{prefix}-{name}-tablet-{scheme}")
    return wrong


def check(page: Page, name: str) -> list[str]:
    """What is seriously wrong with a page, each with where it is."""
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{name}: {one['id']} ({one['impact']}): {node['target']} {node['failureSummary']}"
        for one in found.response["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def picture(page: Page, name: str) -> None:
    """Keep one where pictures are wanted."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", animations="disabled", caret="hide")
