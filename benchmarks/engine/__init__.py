"""What the engine promises under load, measured: ``python -m benchmarks.engine``; see README.md beside it."""
