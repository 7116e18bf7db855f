"""``/v1/webhooks``: where a tenant wants to be told that its jobs and batches have finished."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import Field, StrictStr

from jobs import webhooks
from jobs.webhooks import FOR_PRODUCERS, MOST_DELIVERIES, WebhookRefused
from schemas.access import Principal, Role
from schemas.base import Contract
from schemas.webhook import Delivery, DeliveryPage, NewWebhook, Webhook, WebhookEvent, WebhookList
from web.access import ProducerOrOperator
from web.api import examples
from web.api.parameters import ALWAYS, WITH_BODY, tenant_of
from web.api.refusals import as_problems
from web.bodies import JsonBody, invalid, read_as, takes
from web.problems import documented
from web.replies import reply
from web.site import TheSite

router = APIRouter(prefix="/v1", tags=["webhooks"])

WebhookId = Annotated[UUID, Path(description="The webhook.")]
DeliveryId = Annotated[UUID, Path(description="The delivery: what came as the header `webhook-id`.")]


class WebhookAsked(Contract):
    """An endpoint to make."""

    url: StrictStr = Field(
        max_length=2000, description="Over https, at a public address.", examples=["https://example.com/assay"]
    )
    events: list[WebhookEvent] = Field(
        min_length=1, max_length=10, description="What to be told of. `alert.fired` is told to operators only."
    )


def _allowed(caller: Principal) -> tuple[WebhookEvent, ...]:
    return tuple(WebhookEvent) if caller.role is Role.OPERATOR else FOR_PRODUCERS


@contextmanager
def _as_problems() -> Iterator[None]:
    with as_problems():
        try:
            yield
        except WebhookRefused as refusal:
            raise invalid([(refusal.path, str(refusal))]) from None


@router.post(
    "/webhooks",
    status_code=201,
    response_class=Response,
    openapi_extra=takes(WebhookAsked, examples.WEBHOOKS),
    responses={
        **documented(*WITH_BODY),
        **examples.answers(201, "The webhook and its secret.", NewWebhook, examples.NEW_WEBHOOK, location=True),
    },
)
def create_webhook(site: TheSite, caller: ProducerOrOperator, body: JsonBody) -> Response:
    """Be told of what has ended. Each notice is a POST of `{id, type, created_at, data}`, whose data are ids and states and never
    a text, signed as Standard Webhooks says with the secret that is shown this once. It comes at least once: the header
    `webhook-id` is the same each time. What is not answered with 2xx within 15 seconds is tried again for about a day."""
    asked = read_as(WebhookAsked, body)
    with _as_problems():
        made = webhooks.create(
            site.database,
            tenant_of(caller),
            asked.url,
            asked.events,
            actor=caller.name,
            allowed=_allowed(caller),
            private=site.settings.webhook_private,
        )
    return reply(made, 201, {"Location": f"/v1/webhooks/{made.webhook_id}"})


@router.get(
    "/webhooks",
    response_class=Response,
    responses={
        **documented(*ALWAYS),
        **examples.answers(200, "All webhooks, oldest first.", WebhookList, examples.WEBHOOK_LIST),
    },
)
def list_webhooks(site: TheSite, caller: ProducerOrOperator) -> Response:
    """The tenant's webhooks, without their secrets."""
    found = webhooks.list_webhooks(site.database, tenant_of(caller), allowed=_allowed(caller))
    return reply(WebhookList(webhooks=found))


@router.get(
    "/webhooks/{webhook_id}",
    response_class=Response,
    responses={**documented(*ALWAYS), **examples.answers(200, "The webhook.", Webhook, examples.WEBHOOK)},
)
def get_webhook(site: TheSite, caller: ProducerOrOperator, webhook_id: WebhookId) -> Response:
    """One webhook: whether it fails, and since when."""
    with _as_problems():
        return reply(webhooks.find(site.database, tenant_of(caller), webhook_id, allowed=_allowed(caller)))


@router.delete(
    "/webhooks/{webhook_id}",
    response_class=Response,
    responses={**documented(*ALWAYS), **examples.answers(200, "The webhook as it was.", Webhook, examples.WEBHOOK)},
)
def delete_webhook(site: TheSite, caller: ProducerOrOperator, webhook_id: WebhookId) -> Response:
    """Delete a webhook, and what is on its way to it."""
    with _as_problems():
        return reply(webhooks.delete(site.database, tenant_of(caller), webhook_id, allowed=_allowed(caller)))


@router.post(
    "/webhooks/{webhook_id}/secret",
    response_class=Response,
    responses={
        **documented(*ALWAYS),
        **examples.answers(200, "The webhook and its new secret.", NewWebhook, examples.NEW_WEBHOOK),
    },
)
def renew_secret(site: TheSite, caller: ProducerOrOperator, webhook_id: WebhookId) -> Response:
    """Give a webhook another secret. For a day both sign: a notice carries two signatures. A disabled webhook is enabled again."""
    with _as_problems():
        return reply(webhooks.renew_secret(site.database, tenant_of(caller), webhook_id, allowed=_allowed(caller)))


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    response_class=Response,
    responses={
        **documented(*ALWAYS),
        **examples.answers(200, "The newest deliveries.", DeliveryPage, examples.DELIVERIES),
    },
)
def list_deliveries(
    site: TheSite,
    caller: ProducerOrOperator,
    webhook_id: WebhookId,
    limit: Annotated[int, Query(ge=1, le=MOST_DELIVERIES, description="Rows at most.")] = 50,
) -> Response:
    """What was told to a webhook in the last two weeks, newest first, and what came of it."""
    with _as_problems():
        found = webhooks.deliveries(site.database, tenant_of(caller), webhook_id, limit=limit, allowed=_allowed(caller))
    return reply(DeliveryPage(deliveries=found))


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
    response_class=Response,
    responses={
        **documented(*ALWAYS),
        **examples.answers(200, "The delivery, on its way again.", Delivery, examples.DELIVERY),
    },
)
def replay_delivery(
    site: TheSite, caller: ProducerOrOperator, webhook_id: WebhookId, delivery_id: DeliveryId
) -> Response:
    """Tell it once more, under the same id: who has had it already knows it by that."""
    with _as_problems():
        return reply(
            webhooks.replay(site.database, tenant_of(caller), webhook_id, delivery_id, allowed=_allowed(caller))
        )
