"""Plain threads without a queue: a process that does its share of the documents and waits to be stopped.

``python -m benchmarks.plain_threads --first 0 --count 1000 --threads 50`` warms up, says so, and begins on SIGUSR1.
"""

import argparse
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from benchmarks import simple_job
from benchmarks.documents import document


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    with ThreadPoolExecutor(arguments.threads) as pool:
        _run(pool, 0, arguments.threads)
        with simple_job.engine().begin() as connection:
            connection.execute(simple_job.answers.delete())
            connection.execute(simple_job.documents.delete())
        print("threads ready.", flush=True)
        signal.sigwait({signal.SIGUSR1})
        _run(pool, arguments.first, arguments.count)
        signal.pause()  # alive until stopped: its memory and CPU are still to be read


def _run(pool: ThreadPoolExecutor, first: int, count: int) -> None:
    created = time.time()
    numbers = range(first, first + count)
    list(pool.map(lambda number: simple_job.run(str(uuid.uuid4()), document(number), created), numbers))


if __name__ == "__main__":
    main()
