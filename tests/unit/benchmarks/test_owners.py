"""Folding of py-spy's stacks."""

from benchmarks.owners import NO_STEP, Frame, by_innermost, by_own_function, by_owner, by_step, owner_of, parse

ROOT = "/src/assay"
SITE = f"{ROOT}/.venv/lib/python3.11/site-packages"
STDLIB = "/usr/lib/python3.11"
CLAIM = (
    f"Slots._run ({ROOT}/workers/slots.py:65);execute ({ROOT}/jobs/execute.py:62);_begin ({ROOT}/jobs/execute.py:77);"
    f"claim ({ROOT}/storage/leases.py:110);Connection.exec_driver_sql ({SITE}/sqlalchemy/engine/base.py:1779)"
)
DUMP = (
    f"execute ({ROOT}/jobs/execute.py:62);_begin ({ROOT}/jobs/execute.py:77);dump ({ROOT}/storage/jobs.py:208);"
    f"dumps ({STDLIB}/json/__init__.py:231)"
)
LOCK = f"execute ({ROOT}/jobs/execute.py:67);Condition.notify_all ({STDLIB}/threading.py:390)"
CONSUMER = f"start ({SITE}/celery/bootsteps.py:116);poll ({SITE}/kombu/utils/eventio.py:83)"
SAMPLES = parse([f"{CLAIM} 5", f"{DUMP} 3", f"{LOCK} 2", f"{CONSUMER} 1", "py-spy: 3 errors while sampling", ""])


def test_only_stacks_are_samples() -> None:
    """Lines that are no stack with a count are skipped; a frame keeps function, file and line."""
    assert [sample.seen for sample in SAMPLES] == [5, 3, 2, 1]
    assert SAMPLES[3].frames[1] == Frame("poll", f"{SITE}/kombu/utils/eventio.py", 83)


def test_the_innermost_owner_counts() -> None:
    """Code of the standard library is its caller's, except for JSON, which is a cost of its own."""
    counted = by_owner(SAMPLES, ROOT)
    assert counted == {"SQLAlchemy, psycopg": 5, "pydantic, json": 3, "own: jobs": 2, "Celery, kombu, redis": 1}


def test_a_library_inside_the_checkout_is_not_ours() -> None:
    """The virtual environment lies below the checkout, and a library may have a package of one of our names."""
    assert owner_of(f"{SITE}/tasks/runner.py", ROOT) == "other libraries"
    assert owner_of(f"{ROOT}/tasks/spec.py", ROOT) == "own: tasks"


def test_steps_are_found_anywhere_in_the_stack() -> None:
    """What a library does inside the claim is a cost of the claim; without a step of ours it is the message's."""
    counted = by_step(SAMPLES)
    assert counted["claim: transaction, attempt's intent"] == 8
    assert counted["execute: between the steps"] == 2
    assert counted[NO_STEP] == 1


def test_our_functions_count_with_all_they_call() -> None:
    """Once per stack, with the line that was seen most."""
    counted = by_own_function(SAMPLES, ROOT)
    assert counted[Frame("execute", f"{ROOT}/jobs/execute.py", 62)] == 10
    assert counted[Frame("_begin", f"{ROOT}/jobs/execute.py", 77)] == 8
    assert by_innermost(SAMPLES)[Frame("dumps", f"{STDLIB}/json/__init__.py", 0)] == 3
