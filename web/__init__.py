"""The people's side: HTTP API, review desk, operators' pages. Knows no queue, no worker and no model SDK."""
