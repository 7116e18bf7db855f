"""Partial text of running jobs, through the broker, sealed: a view that may be lost."""
