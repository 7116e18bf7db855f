"""Use cases, a verb per file. They know the database and orchestration, and nothing of Celery."""
