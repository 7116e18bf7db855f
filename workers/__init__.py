"""The only place that speaks Celery. ``celery -A workers worker`` finds ``workers.celery.app``."""
