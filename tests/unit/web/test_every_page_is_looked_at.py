"""No page is forgotten by those who look at pages."""

from schemas.settings import Settings
from tests.browser.desk_pages import DESK, SIGNED_OUT
from tests.browser.looking import NOWHERE
from tests.browser.operator_pages import OPERATORS
from tests.probing import routes
from web.app import make_app
from web.page_errors import PAGES


def test_every_page_is_looked_at() -> None:
    """Each address of a page that the application knows is in the list of the pages that axe checks and that are pictured, the
    API's own page among them; and each of the list is an address of the application."""
    known = {path for method, path in routes(make_app(Settings())) if method == "GET"}
    pages = {path for path in known if any(path == one or path.startswith(f"{one}/") for one in PAGES)} | {"/v1"}
    looks = {**DESK, **{f"operators-{name}": look for name, look in OPERATORS.items()}, **SIGNED_OUT}
    assert {look.route for look in looks.values()} - {NOWHERE} == pages
    assert pages > {"/signin", "/desk", "/operators"}
