"""The operators' pages, metrics and health."""
