"""Webhooks for finished jobs and batches.

Revision ID: 0006
"""

from storage.migrations.script import run_script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_script("0006_webhooks.sql")


def downgrade() -> None:
    """Refused: what people did would be lost."""
    raise RuntimeError("This migration cannot be downgraded; restore a backup instead.")
