"""The Celery application: its tasks come from the catalogue, its settings from the environment, read when first used."""

from typing import Any

from celery import Celery

from workers.environment import worker_settings
from workers.messages import register_tasks
from workers.queues import CONTROL_QUEUE, QUEUE
from workers.schedule import beat_schedule

VISIBILITY_SECONDS = 6 * 3600
"""Redis hands an unacknowledged message out again after this. Leases recover lost jobs long before; a duplicate finds
nothing to claim, so this only has to exceed the longest Celery-native job."""
SOCKET_SECONDS = 5
"""A frozen broker must not hang a publisher for ever."""
RESULT_SECONDS = 24 * 3600


def celery_config() -> dict[str, Any]:
    """Celery's configuration."""
    settings = worker_settings()
    config: dict[str, Any] = {
        "broker_url": settings.broker,
        "result_backend": settings.redis_url,
        "result_expires": RESULT_SECONDS,
        "imports": ("workers.execution",),
        "accept_content": ["json"],
        "task_default_queue": QUEUE,
        "task_routes": {"assay.control.*": {"queue": CONTROL_QUEUE}},
        "task_acks_late": True,
        "worker_concurrency": settings.worker_slots,
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": True,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_timeout": SOCKET_SECONDS,
        "timezone": "UTC",
        "beat_schedule": beat_schedule(),
        "beat_max_loop_interval": 1,
    }
    if settings.broker and settings.broker.startswith(("redis", "valkey")):
        config["broker_transport_options"] = {
            "visibility_timeout": VISIBILITY_SECONDS,
            "socket_timeout": SOCKET_SECONDS,
            "socket_connect_timeout": SOCKET_SECONDS,
        }
        config["redis_socket_timeout"] = SOCKET_SECONDS
        config["redis_socket_connect_timeout"] = SOCKET_SECONDS
    return config


app = Celery("assay", set_as_current=False)
app.add_defaults(celery_config)
register_tasks(app)
