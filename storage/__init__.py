"""PostgreSQL: tables, tenant-scoped sessions, one module per aggregate, migrations."""
