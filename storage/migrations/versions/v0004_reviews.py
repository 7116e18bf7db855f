"""The review desk: order by value, undo, second reviews, looks.

Revision ID: 0004
"""

from storage.migrations.script import run_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_script("0004_reviews.sql")


def downgrade() -> None:
    """Refused: what people did would be lost."""
    raise RuntimeError("This migration cannot be downgraded; restore a backup instead.")
