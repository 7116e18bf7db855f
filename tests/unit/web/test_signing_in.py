"""Where a sign-in may lead: to addresses on this host alone."""

import pytest

from web.signing_in import own_path


@pytest.mark.parametrize(
    "target", ["/", "/desk", "/desk/items/1?task=extract&older=4", "/a/b%2F..%2Fc", "/desk?x=//elsewhere"]
)
def test_own_addresses_are_gone_on_to(target: str) -> None:
    """With their query."""
    assert own_path(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "", "desk", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example",
        "/\t/evil.example", "/\n/evil.example", " //evil.example", "/a\r\nSet-Cookie: x=1", "javascript:alert(1)", "/a\\b",
        "/" + "a" * 3000, "/\x00", "/\u2028x", "http:desk", "?next", "@evil.example",
    ],
)  # fmt: skip
def test_others_are_not(target: str) -> None:
    """Also those that a browser would read as another host once it has dropped control characters or turned slashes round."""
    assert own_path(target) is None
