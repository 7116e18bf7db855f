"""Sign-in: people with a password, sessions, and keys whose use is known.

Revision ID: 0003
"""

from storage.migrations.script import run_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_script("0003_access.sql")


def downgrade() -> None:
    """Refused: what people did would be lost."""
    raise RuntimeError("This migration cannot be downgraded; restore a backup instead.")
