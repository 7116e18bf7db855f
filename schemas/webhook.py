"""Webhooks: who is told, and what: ids and states, never a text."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import Field

from schemas.base import Contract


class WebhookEvent(StrEnum):
    """What one may be told of."""

    JOB_FINISHED = "job.finished"  # answered, failed or cancelled
    BATCH_FINISHED = "batch.finished"  # no machine works on any job of it any more
    ALERT_FIRED = "alert.fired"  # for operators: over all tenants


class Webhook(Contract):
    """An endpoint, without its secret.

    Attributes:
        failing_since: its first failure after its last success.
        disabled_at: nothing is sent to it any more.
    """

    webhook_id: UUID
    url: str
    events: list[WebhookEvent]
    created_at: datetime
    created_by: str
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None


class NewWebhook(Webhook):
    """An endpoint with its secret."""

    secret: str = Field(description="Signs what is sent (Standard Webhooks, `whsec_...`). It is shown this once.")


class WebhookList(Contract):
    """All endpoints of a tenant."""

    webhooks: list[Webhook]


class DeliveryState(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # it was tried for a day


class Delivery(Contract):
    """One notice to one endpoint.

    Attributes:
        delivery_id: comes as the header ``webhook-id``, the same with each try.
        next_at: of the next try, while it is pending.
        status: HTTP status of the last try that got one.
        detail: why the last try failed.
    """

    delivery_id: UUID
    event: WebhookEvent
    data: dict[str, Any]
    created_at: datetime
    state: DeliveryState
    tries: int
    next_at: datetime | None = None
    settled_at: datetime | None = None
    status: int | None = None
    detail: str | None = None


class DeliveryPage(Contract):
    """Some deliveries to an endpoint, newest first."""

    deliveries: list[Delivery]
