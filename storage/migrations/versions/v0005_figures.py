"""Operators' figures over time, and alerts.

Revision ID: 0005
"""

from storage.migrations.script import run_script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_script("0005_figures.sql")


def downgrade() -> None:
    """Refused: what people did would be lost."""
    raise RuntimeError("This migration cannot be downgraded; restore a backup instead.")
