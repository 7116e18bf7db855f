"""What a Celery-native producer's ``AsyncResult.get()`` raises."""


class JobFailed(Exception):
    """A Celery-native job ended without an answer; ``AsyncResult.get()`` raises this."""


class RequestRefused(Exception):
    """A Celery-native message broke the task's contract; nothing was recorded."""
