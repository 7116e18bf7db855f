"""The engine: fair dispatch, duties, suspects, batches that arrive in pieces, producers in the same database.

Revision ID: 0002
"""

from storage.migrations.script import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_script("0002_engine.sql")


def downgrade() -> None:
    """Refused: jobs may be waiting in a way that the older tables cannot express."""
    raise RuntimeError("This migration cannot be downgraded; restore a backup instead.")
