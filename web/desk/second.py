"""Second looks at what the model answered: blind first, then a third person where the two differ; and how often they agree."""

from dataclasses import replace
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.status import HTTP_200_OK, HTTP_303_SEE_OTHER, HTTP_409_CONFLICT, HTTP_422_UNPROCESSABLE_CONTENT

from jobs import second_figures, second_review
from jobs.access import SignedIn
from jobs.cancel import NotFound
from jobs.review_refusals import ClaimLost, DecisionRefused
from jobs.second_review import SecondItem
from schemas.answer import Violation
from schemas.review import Decision, Stage, Verdict
from web.access import AtDesk
from web.desk import answering
from web.desk.answering import EDITING, Draft
from web.desk.comparing import lines
from web.desk.evidence import is_tabular, mark, quotes_of
from web.desk.frame import desk_page, tenant_of
from web.desk.queue import NOTICES
from web.desk.words import VERDICTS, left
from web.problems import Kind, Problem
from web.sent import Posted, PostedAtDesk
from web.site import Site, TheSite

router = APIRouter(prefix="/desk")


@router.get("/second")
def waiting_page(request: Request, site: TheSite, signed_in: AtDesk, notice: str = "") -> Response:
    """What waits for a second look, or to be judged."""
    who = signed_in.principal
    return desk_page(
        request, site, signed_in, "desk/second_list.html",
        section="second", waiting=second_review.waiting(site.database, who.tenants, who.name), notice=NOTICES.get(notice),
    )  # fmt: skip


@router.get("/agreement")
def agreement_page(request: Request, site: TheSite, signed_in: AtDesk) -> Response:
    """How often second opinions agree with the model."""
    figures = second_figures.agreement(site.database, signed_in.principal.tenants)
    return desk_page(
        request, site, signed_in, "desk/agreement.html", section="agreement", figures=figures, verdicts=VERDICTS
    )


@router.post("/second/next")
def claim_next(site: TheSite, sent: PostedAtDesk) -> Response:
    """Take the next one."""
    return _to_next(site, sent)


@router.get("/second/{job_id}")
def item_page(request: Request, site: TheSite, signed_in: AtDesk, job_id: UUID) -> Response:
    """The document and an empty form; after the opinion both answers."""
    who = signed_in.principal
    item = _look(site, who.name, tenant_of(site, who, job_id), job_id)
    draft = answering.fresh(item.task, item.request, None)
    return _page(request, site, signed_in, _renewed(site, who.name, item), draft)


@router.post("/second/{job_id}")
def act(request: Request, site: TheSite, sent: PostedAtDesk, job_id: UUID) -> Response:
    """Claim, edit, decide, judge, skip: whatever button was pressed."""
    who = sent.principal
    tenant_id = tenant_of(site, who, job_id)
    action, _, where = sent.one("action").partition(":")
    if action == "claim":
        taken = second_review.claim(site.database, [tenant_id], who.name, _lease(site), job_id=job_id)
        return _to(f"/desk/second/{job_id}" if taken else "/desk/second?notice=taken")
    if action == "skip":
        return _skip(site, tenant_id, job_id, sent)
    item = _look(site, who.name, tenant_id, job_id)
    draft = answering.sent_draft(item.task, item.request, sent.texts, is_editing=action in EDITING)
    if action in EDITING:
        draft = answering.edited(draft, item.task, item.request, action, where, {})
        return _page(request, site, sent.signed_in, _renewed(site, who.name, item), draft)
    return _decide(request, site, sent, item, draft, action)


@router.post("/second/{job_id}/renew")
def renew(site: TheSite, sent: PostedAtDesk, job_id: UUID) -> Response:
    """The heartbeat of an open page."""
    tenant_id = tenant_of(site, sent.principal, job_id)
    fence = sent.number("fence") or 0
    try:
        until = second_review.renew(site.database, tenant_id, job_id, sent.principal.name, fence, _lease(site))
    except ClaimLost as lost:
        return JSONResponse({"lost": str(lost)}, HTTP_409_CONFLICT)
    except NotFound:
        raise Problem(Kind.NOT_FOUND) from None
    return JSONResponse({"seconds": left(until)})


def _decide(request: Request, site: Site, sent: Posted, item: SecondItem, draft: Draft, action: str) -> Response:
    try:
        _write(site, sent, item, draft, action)
    except ClaimLost as lost:
        item = _look(site, sent.principal.name, item.tenant_id, item.job_id)
        return _page(request, site, sent.signed_in, item, draft, lost=_sentence(str(lost)))
    except DecisionRefused as refused:
        wrong = replace(draft, errors=refused.errors)
        return _page(request, site, sent.signed_in, _renewed(site, sent.principal.name, item), wrong)
    return _to(f"/desk/second/{item.job_id}")


def _write(site: Site, sent: Posted, item: SecondItem, draft: Draft, action: str) -> None:
    common = (site.database, item.tenant_id, item.job_id, sent.principal.name)
    fence = sent.number("fence")
    match action:
        case "judge":
            verdict = _verdict(sent.one("verdict"))
            second_review.judge(*common, verdict, note=draft.note, fence=fence)
        case "accept":
            if draft.errors:
                raise DecisionRefused(draft.errors)
            second_review.decide(*common, Decision.EDIT, output=draft.value, note=draft.note, fence=fence)
        case "not_applicable" | "reject":
            decision = Decision(action)
            second_review.decide(*common, decision, reason=draft.reason.strip(), note=draft.note, fence=fence)
        case _:
            raise Problem(Kind.NOT_FOUND)


def _verdict(text: str) -> Verdict:
    try:
        return Verdict(text)
    except ValueError:
        raise DecisionRefused([Violation(path="verdict", message="choose who is right")]) from None


def _page(
    request: Request, site: Site, signed_in: SignedIn, item: SecondItem, draft: Draft, *, lost: str | None = None
) -> Response:
    who = signed_in.principal.name
    verdict_error = next((one.message for one in draft.errors if one.path == "verdict"), None)
    draft = replace(draft, errors=[one for one in draft.errors if one.path != "verdict"])
    box = draft.shown([])
    text = str(item.request.get("text", ""))
    given = [("model", "Model", item.model), ("second", "Second person", item.second)]
    quotes = [] if item.stage is Stage.SECOND else [*quotes_of(item.model, "model"), *quotes_of(item.second, "second")]
    is_wrong = bool(draft.errors or verdict_error)
    status = HTTP_409_CONFLICT if lost else HTTP_422_UNPROCESSABLE_CONTENT if is_wrong else HTTP_200_OK
    return desk_page(
        request, site, signed_in, "desk/second_item.html", status_code=status,
        section="second", item=item, draft=draft, box=box, focus=answering.focus_of(box, draft), given=given,
        compared=[] if item.stage is Stage.SECOND else lines([item.model, item.second], item.differing),
        source=mark(text, quotes), is_tabular=is_tabular(text), lost=lost, verdicts=VERDICTS, verdict_error=verdict_error,
        is_open=lost is None and item.is_held_by(who) and item.stage is Stage.SECOND,
        is_judging=lost is None and item.is_held_by(who) and item.stage is Stage.THIRD,
        is_mine=item.is_held_by(who), lease_left=left(item.lease_until) if item.lease_until else 0,
        asked={name: value for name, value in item.request.items() if name not in ("text", "schema")},
    )  # fmt: skip


def _skip(site: Site, tenant_id: str, job_id: UUID, sent: Posted) -> Response:
    try:
        second_review.release(site.database, tenant_id, job_id, sent.principal.name, fence=sent.number("fence"))
    except NotFound:
        raise Problem(Kind.NOT_FOUND) from None
    except ClaimLost:
        return _to("/desk/second")
    return _to_next(site, sent)


def _to_next(site: Site, sent: Posted) -> Response:
    who = sent.principal
    item = second_review.claim(site.database, who.tenants, who.name, _lease(site))
    return _to("/desk/second?notice=none" if item is None else f"/desk/second/{item.job_id}")


def _renewed(site: Site, reviewer: str, item: SecondItem) -> SecondItem:
    if not item.is_held_by(reviewer):
        return item
    try:
        until = second_review.renew(site.database, item.tenant_id, item.job_id, reviewer, item.fence, _lease(site))
    except ClaimLost:
        return _look(site, reviewer, item.tenant_id, item.job_id)
    return replace(item, lease_until=until)


def _look(site: Site, reviewer: str, tenant_id: str, job_id: UUID) -> SecondItem:
    try:
        return second_review.look(site.database, tenant_id, job_id, reviewer)
    except NotFound:
        raise Problem(Kind.NOT_FOUND) from None


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _lease(site: Site) -> float:
    return site.settings.review_lease_seconds


def _to(target: str) -> Response:
    return RedirectResponse(target, status_code=HTTP_303_SEE_OTHER)
