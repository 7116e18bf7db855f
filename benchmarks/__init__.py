"""Measurements: the full pipeline beside what one would write without it. Never part of the tests; see README.md."""
