"""Who looks at pages without a screen: a browser's cookies and forms over real HTTP."""

import re

import httpx2

from tests.desk_world import PASSWORD

SESSION = "assay_session"
"""The cookie of who is signed in."""
HIDDEN = re.compile(r'name="csrf" value="([^"]+)"')


class Visitor(httpx2.Client):
    """A browser without a screen; follows no redirect by itself."""

    def token(self, path: str = "/desk") -> str:
        """What the forms of a page bring."""
        found = HIDDEN.search(self.get(path).text)
        assert found is not None
        return found[1]

    def sign_in(self, login: str, password: str = PASSWORD, **more: str) -> httpx2.Response:
        """By the form."""
        data = {"csrf": self.token("/signin"), "login": login, "password": password, **more}
        return self.post("/signin", data=data)
