"""The foundation: tenancy, jobs, audit, reviews, workers.

Revision ID: 0001
"""

from storage.migrations.script import run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL file beside this one."""
    run_script("0001_foundation.sql")


def downgrade() -> None:
    """Refused: it would delete every job and the audit."""
    raise RuntimeError("The foundation cannot be downgraded; restore a backup instead.")
