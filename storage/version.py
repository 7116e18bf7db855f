"""The migration that this version of Assay needs. A constant, because asking alembic costs every worker 0.7 s of CPU."""

HEAD_REVISION = "0006"
