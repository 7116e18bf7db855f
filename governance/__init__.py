"""Rules about money, data and tenants. Pure."""
