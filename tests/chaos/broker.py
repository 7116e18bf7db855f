"""What may happen to the broker and to the messages in it."""

import signal
import time
from uuid import UUID

import psycopg
import redis
from celery import Celery

from schemas.ids import new_id
from tests.chaos.stage import Stage
from tests.chaos.traffic import TASK
from workers.queues import QUEUE

FLUSHES = 3
TURN_SECONDS = 0.02


def flushed(stage: Stage) -> None:
    """FLUSHALL, a few times: queue, what was delivered and not acknowledged, bindings, windows."""
    for flush in range(FLUSHES):
        if flush:
            time.sleep(stage.dice.uniform(0.1, 0.8))
        with stage.grounds.valkey.busy, stage.grounds.broker() as broker:
            broker.flushall()


def down(stage: Stage) -> None:
    """kill -9, away for a while, then there again with its data as of shortly before."""
    with stage.grounds.valkey.busy:
        with stage.grounds.broker() as broker:
            broker.save()
        stage.grounds.valkey.stop(signal.SIGKILL)
        time.sleep(stage.periods.down)
        stage.grounds.valkey.start()
        stage.grounds.snapshot.unlink(missing_ok=True)


def restarted_empty(stage: Stage) -> None:
    """kill -9, and at once there again, without any data."""
    with stage.grounds.valkey.busy:
        stage.grounds.valkey.stop(signal.SIGKILL)
        stage.grounds.snapshot.unlink(missing_ok=True)
        stage.grounds.valkey.start()


def frozen(stage: Stage) -> None:
    """SIGSTOP, SIGCONT: connections stay open and nobody answers."""
    with stage.grounds.valkey.busy, stage.grounds.valkey.frozen():
        time.sleep(stage.periods.frozen_server)


def duplicated(stage: Stage) -> None:
    """Messages twice and in another order; jobs that run or are over rung for again; ids under a foreign tenant, ids of nobody."""
    until = time.monotonic() + stage.periods.storm
    celery = Celery("duplicates", broker=stage.grounds.house.broker_url, set_as_current=False)
    repeated = 0
    while time.monotonic() < until:
        try:
            with stage.grounds.broker() as broker:
                repeated += _shuffle(stage, broker)
            if stage.dice.random() < 0.2:
                repeated += _ring_again(stage, celery)
        except (redis.RedisError, OSError, psycopg.OperationalError):
            pass  # another fault of a mix has taken it away
        time.sleep(TURN_SECONDS)
    celery.close()
    assert repeated, "no message was there to repeat"


def _shuffle(stage: Stage, broker: "redis.Redis") -> int:
    """Copy each waiting message to the front, and move the last ones there."""
    waiting = broker.lrange(QUEUE, 0, 20)
    for message in stage.dice.sample(waiting, len(waiting)):
        broker.lpush(QUEUE, message)
        broker.lmove(QUEUE, QUEUE, "RIGHT", "LEFT")
    return len(waiting)


def _ring_again(stage: Stage, celery: Celery) -> int:
    rows: list[tuple[str, UUID]] = [
        (tenant, job_id)
        for tenant, job_id in stage.grounds.house.query("SELECT tenant_id, id FROM jobs ORDER BY random() LIMIT 10")
    ]
    tenants = sorted({tenant for tenant, _ in rows})
    for tenant in tenants:
        own = [str(job_id) for of, job_id in rows if of == tenant]
        foreign = [str(job_id) for of, job_id in rows if of != tenant]
        for ids in (own, foreign, [str(new_id())]):
            celery.send_task(
                f"assay.{TASK}", kwargs={"tenant": tenant, "jobs": ids}, queue=QUEUE, ignore_result=True, retry=False
            )
    return len(tenants)
