"""One review: its source and story, the form of its answer, the decision."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.status import HTTP_200_OK, HTTP_303_SEE_OTHER, HTTP_409_CONFLICT, HTTP_422_UNPROCESSABLE_CONTENT

from jobs import review, review_bulk, review_story
from jobs.access import SignedIn
from jobs.cancel import NotFound
from jobs.review import ClaimLost, Decision, DecisionRefused
from jobs.review_story import Item
from schemas.answer import Violation
from schemas.review import UNDO_SECONDS
from web.access import AtDesk
from web.desk import answering
from web.desk.answering import EDITING, Draft
from web.desk.comparing import lines
from web.desk.evidence import is_tabular, mark, quotes_of
from web.desk.filters import Shown, ShownPart
from web.desk.frame import desk_page, tenant_of
from web.desk.queue import to_next
from web.desk.words import left
from web.problems import Kind, Problem
from web.sent import Posted, PostedAtDesk
from web.site import Site, TheSite

router = APIRouter(prefix="/desk/items/{job_id}")


@router.get("")
def item_page(request: Request, site: TheSite, signed_in: AtDesk, shown: ShownPart, job_id: UUID) -> Response:
    """The review; whoever holds it holds it for longer by this."""
    who = signed_in.principal
    item = _look(site, who.name, tenant_of(site, who, job_id), job_id)
    draft = answering.fresh(item.review.task, item.request, item.rules or item.model)
    return _page(request, site, signed_in, shown, _renewed(site, who.name, item), draft)


@router.post("")
def act(request: Request, site: TheSite, sent: PostedAtDesk, shown: ShownPart, job_id: UUID) -> Response:
    """Claim, edit, decide, skip: whatever button was pressed."""
    who = sent.principal
    tenant_id = tenant_of(site, who, job_id)
    action, _, where = sent.one("action").partition(":")
    if action == "claim":
        return _claim(site, tenant_id, job_id, sent, shown)
    if action == "skip":
        return _skip(site, tenant_id, job_id, sent, shown)
    item = _look(site, who.name, tenant_id, job_id)
    draft = answering.sent_draft(item.review.task, item.request, sent.texts, is_editing=action in EDITING)
    if action == "reclaim":
        taken = review.claim(site.database, tenant_id, who.name, _lease(site), job_id=job_id)
        item = _look(site, who.name, tenant_id, job_id)
        return _page(request, site, sent.signed_in, shown, item, draft, lost=None if taken else _taken(item))
    if action in EDITING:
        known = {"model": item.model, "rules": item.rules}
        draft = answering.edited(draft, item.review.task, item.request, action, where, known)
        return _page(request, site, sent.signed_in, shown, _renewed(site, who.name, item), draft)
    return _decide(request, site, sent, shown, item, draft, action)


@router.post("/renew")
def renew(site: TheSite, sent: PostedAtDesk, job_id: UUID) -> Response:
    """The heartbeat of an open page."""
    tenant_id = tenant_of(site, sent.principal, job_id)
    fence = sent.number("fence")
    try:
        until = review.renew(site.database, tenant_id, job_id, sent.principal.name, fence or 0, _lease(site))
    except ClaimLost as lost:
        return JSONResponse({"lost": str(lost)}, HTTP_409_CONFLICT)
    except NotFound:
        raise Problem(Kind.NOT_FOUND) from None
    return JSONResponse({"seconds": left(until)})


def _claim(site: Site, tenant_id: str, job_id: UUID, sent: Posted, shown: Shown) -> Response:
    taken = review.claim(site.database, tenant_id, sent.principal.name, _lease(site), job_id=job_id)
    if taken is None:
        return _to(f"/desk{shown.with_(notice='taken')}")
    return _to(f"/desk/items/{job_id}{shown.query}")


def _skip(site: Site, tenant_id: str, job_id: UUID, sent: Posted, shown: Shown) -> Response:
    try:
        review.release(site.database, tenant_id, job_id, sent.principal.name, fence=sent.number("fence"))
    except (ClaimLost, NotFound):
        return _to(f"/desk{shown.query}")  # it is not theirs any more, which is what they wanted
    return to_next(site, sent, shown) if sent.one("then") else _to(f"/desk{shown.with_(notice='skipped')}")


def _decide(
    request: Request, site: Site, sent: Posted, shown: Shown, item: Item, draft: Draft, action: str
) -> Response:
    decision = _decision(action, item, draft)
    try:
        if decision is Decision.EDIT and draft.errors:
            raise DecisionRefused(draft.errors)
        review.decide(
            site.database, item.review.tenant_id, item.review.job_id, sent.principal.name, decision,
            output=draft.value if decision is Decision.EDIT else None, reason=draft.reason.strip(), note=draft.note,
            fence=sent.number("fence"), grace_seconds=UNDO_SECONDS,
        )  # fmt: skip
    except ClaimLost:
        item = _look(site, sent.principal.name, item.review.tenant_id, item.review.job_id)
        return _page(request, site, sent.signed_in, shown, item, draft, lost=_taken(item))
    except DecisionRefused as refused:
        refused_draft = replace(draft, errors=_as_person(refused.errors))
        return _page(request, site, sent.signed_in, shown, _renewed(site, sent.principal.name, item), refused_draft)
    return to_next(site, sent, shown) if sent.one("then") else _to(f"/desk{shown.query}")


def _decision(action: str, item: Item, draft: Draft) -> Decision:
    """What the button means; accepting a form that was changed is an answer of one's own."""
    match action:
        case "accept" if answering.is_as_suggested(draft, item.rules) and not draft.errors:
            return Decision.ACCEPT
        case "accept":
            return Decision.EDIT
        case "not_applicable" | "reject":
            return Decision(action)
        case _:
            raise Problem(Kind.NOT_FOUND)


def _as_person(errors: list[Violation]) -> list[Violation]:
    """What is said to the command line is said in the words of this page."""
    reason = "say in a few words why the task does not apply"
    return [one.model_copy(update={"message": reason}) if one.path == "reason" else one for one in errors]


def _page(
    request: Request,
    site: Site,
    signed_in: SignedIn,
    shown: Shown,
    item: Item,
    draft: Draft,
    *,
    lost: str | None = None,
) -> Response:
    who, seen = signed_in.principal.name, item.review
    box = draft.shown(item.differing)
    text = str(item.request.get("text", ""))
    quotes = [*quotes_of(item.model, "model"), *quotes_of(item.rules, "rules")]
    answers: list[tuple[str, str, Any]] = [("model", "Model", item.model), ("rules", "Rules", item.rules)]
    given = [(by, title, answer) for by, title, answer in answers if answer is not None]
    is_open = lost is None and seen.is_held_by(who)
    status = HTTP_409_CONFLICT if lost else HTTP_422_UNPROCESSABLE_CONTENT if draft.errors else HTTP_200_OK
    return desk_page(
        request, site, signed_in, "desk/item.html", status_code=status,
        section="queue", shown=shown, item=item, review=seen, draft=draft, box=box, focus=answering.focus_of(box, draft),
        source=mark(text, quotes), is_tabular=is_tabular(text), given=given,
        compared=lines([answer for _, _, answer in given], item.differing), is_open=is_open, is_mine=seen.is_held_by(who),
        may_undo=seen.may_be_undone_by(who), lost=lost, lease_left=left(seen.lease_until) if seen.lease_until else 0,
        cluster=review_bulk.cluster_of(site.database, seen.tenant_id, seen.job_id) if is_open else None,
        asked={name: value for name, value in item.request.items() if name not in ("text", "schema")},
    )  # fmt: skip


def _renewed(site: Site, reviewer: str, item: Item) -> Item:
    """Every request of who holds it is a heartbeat too, for browsers without JavaScript."""
    seen = item.review
    if not seen.is_held_by(reviewer):
        return item
    try:
        until = review.renew(site.database, seen.tenant_id, seen.job_id, reviewer, seen.fence, _lease(site))
    except ClaimLost:
        return _look(site, reviewer, seen.tenant_id, seen.job_id)
    return replace(item, review=replace(seen, lease_until=until))


def _taken(item: Item) -> str:
    seen = item.review
    if seen.decision is not None:
        return f"It was decided meanwhile, by {seen.decided_by}."
    if seen.pending is not None:
        return f"It was decided meanwhile, by {seen.reviewer}."
    if seen.held:
        return f"Your claim has ended: {seen.reviewer} holds it now." if seen.reviewer else "Your claim has ended."
    return "Your claim has ended. Nobody else has it yet."


def _look(site: Site, reviewer: str, tenant_id: str, job_id: UUID) -> Item:
    try:
        return review_story.look(site.database, tenant_id, job_id, reviewer)
    except NotFound:
        raise Problem(Kind.NOT_FOUND) from None


def _lease(site: Site) -> float:
    return site.settings.review_lease_seconds


def _to(target: str) -> Response:
    return RedirectResponse(target, status_code=HTTP_303_SEE_OTHER)
