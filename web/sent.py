"""Forms that were sent: read with bounds, and only by whoever had the page."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import FormData

from jobs.access import SignedIn
from schemas.access import Principal
from web.access import AtDesk, check_csrf
from web.bodies import MOST_BYTES
from web.origins import refuse_other_origins

FORM_FIELDS = 5000


async def _sent_form(request: Request) -> FormData:
    """A body that is no form is an empty one: it lacks the token that every form has."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return FormData()
    return await request.form(max_files=0, max_fields=FORM_FIELDS, max_part_size=MOST_BYTES)


def texts(form: FormData) -> dict[str, list[str]]:
    """All texts by name. PostgreSQL can hold no NUL, and nobody types one."""
    found: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            found.setdefault(name, []).append(value.replace("\x00", "\N{REPLACEMENT CHARACTER}"))
    return found


SentForm = Annotated[FormData, Depends(_sent_form)]
"""As a parameter of a route; web.bodies bounds its size."""


@dataclass(frozen=True)
class Posted:
    """A form of somebody who is signed in, checked to come from a page of this session."""

    signed_in: SignedIn
    texts: dict[str, list[str]]

    @property
    def principal(self) -> Principal:
        """Who sent it."""
        return self.signed_in.principal

    def one(self, name: str) -> str:
        """The last text of this name; empty where there is none."""
        return (self.texts.get(name) or [""])[-1]

    def number(self, name: str) -> int | None:
        """A whole number of up to nine digits; None where it is none."""
        text = self.one(name)
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _posted_at_desk(signed_in: AtDesk, form: SentForm) -> Posted:
    sent = Posted(signed_in, texts(form))
    check_csrf(signed_in, sent.one("csrf"))
    return sent


PostedAtDesk = Annotated[Posted, Depends(_posted_at_desk)]
"""As a parameter of a route of the desk."""
FROM_OUR_PAGES = [Depends(refuse_other_origins)]
"""``dependencies`` of a router whose forms change something."""
