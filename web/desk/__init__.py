"""The review desk: pages for people who decide."""
