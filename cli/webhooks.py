"""`assay webhooks`: who is told what has ended."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.connect import check_tenant, connected_database
from cli.options import DEFAULT_TENANT, AsJson, Tenant, read_id
from cli.output import print_json, print_line, print_table

webhooks_app = typer.Typer(no_args_is_help=True, help="Webhooks: who is told what has ended.")
ACTOR = "assay webhooks"

WebhookId = Annotated[
    str, typer.Argument(metavar="WEBHOOK_ID", show_default=False, help="The id that `webhooks list` shows.")
]


class Event(StrEnum):
    """``schemas.webhook.WebhookEvent`` again, for help without its imports."""

    JOB_FINISHED = "job.finished"
    BATCH_FINISHED = "batch.finished"
    ALERT_FIRED = "alert.fired"


@webhooks_app.command("list")
def list_webhooks(tenant: Tenant = DEFAULT_TENANT, as_json: AsJson = False) -> None:
    """List a tenant's webhooks, without their secrets."""
    with connected_database() as connection:
        from jobs.webhooks import list_webhooks as every

        check_tenant(connection, tenant)
        found = every(connection.database, tenant)
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    rows = [
        (one.webhook_id, one.url, ", ".join(one.events), one.failing_since, one.disabled_reason or one.disabled_at)
        for one in found
    ]
    print_table("", ["webhook id", "url", "events", "failing since", "disabled"], rows)


@webhooks_app.command("create")
def create_webhook(
    url: Annotated[str, typer.Argument(metavar="URL", show_default=False, help="Over https, at a public address.")],
    event: Annotated[list[Event] | None, typer.Option("--event", help="What to tell; repeat it.")] = None,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: AsJson = False,
) -> None:
    """Make a webhook. Its secret is shown this once."""
    with connected_database() as connection:
        from jobs.webhooks import create
        from schemas.webhook import WebhookEvent

        check_tenant(connection, tenant)
        events = [WebhookEvent(one.value) for one in event or [Event.JOB_FINISHED, Event.BATCH_FINISHED]]
        private = connection.settings.webhook_private
        made = create(connection.database, tenant, url, events, actor=ACTOR, private=private)
    if as_json:
        print_json(made.model_dump(mode="json"))
    else:
        print_line(made.secret)
        print_line(
            f"Keep it now: it signs what is sent, and is not shown again. The webhook's id is {made.webhook_id}."
        )


@webhooks_app.command("secret")
def renew_secret(webhook: WebhookId, tenant: Tenant = DEFAULT_TENANT, as_json: AsJson = False) -> None:
    """Give a webhook another secret, shown this once; for a day both sign. A disabled one is enabled again."""
    webhook_id = read_id(webhook, "webhook")
    with connected_database() as connection:
        from jobs.webhooks import renew_secret as renew

        made = renew(connection.database, tenant, webhook_id)
    if as_json:
        print_json(made.model_dump(mode="json"))
    else:
        print_line(made.secret)


@webhooks_app.command("delete")
def delete_webhook(webhook: WebhookId, tenant: Tenant = DEFAULT_TENANT, as_json: AsJson = False) -> None:
    """Delete a webhook, and what is on its way to it."""
    webhook_id = read_id(webhook, "webhook")
    with connected_database() as connection:
        from jobs.webhooks import delete

        gone = delete(connection.database, tenant, webhook_id)
    if as_json:
        print_json({"webhook_id": gone.webhook_id, "deleted": True})
    else:
        print_line(f"webhook {gone.webhook_id} deleted")
