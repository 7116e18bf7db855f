"""One document over HTTP: submitted, followed, listed, cancelled. Against the real application and database."""

from uuid import uuid4

import pytest

from jobs.tenancy import create_tenant
from schemas.access import Role
from schemas.ids import new_id
from storage import listing
from storage.database import Database
from tests.api_world import CLASSIFY, Api, client, texts
from tests.house import LABELS, House, Workers, eventually

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def api(database: Database, port: int, tenant: str) -> Api:
    """A producer of a tenant of its own."""
    return client(database, port, tenant)


def test_a_job_is_made_and_found_where_the_header_says(api: Api) -> None:
    """201 with the job and its address; there it is, waiting, and the list shows it without an answer."""
    made = api.post("/v1/jobs", CLASSIFY)
    assert (made.status, made.json["state"], made.json["task"]) == (201, "queued", "classify")
    assert api.get(made.headers["location"]).json == made.json
    (listed,) = api.get("/v1/jobs").json["jobs"]
    assert listed["job_id"] == made.json["job_id"]
    assert "answer" not in listed


def test_a_job_that_workers_answer_is_answered_over_http(api: Api, workers: Workers) -> None:
    """What a worker concluded is what the API shows, answer and all."""
    workers.start()
    job = api.submitted()
    found = eventually(lambda: (view := api.get(f"/v1/jobs/{job}").json)["state"] == "answered" and view, "an answer")
    assert found["answered_by"] == "model"
    assert found["answer"]["labels"][0] in LABELS


def test_the_same_key_and_body_is_the_same_job(api: Api, house: House, tenant: str) -> None:
    """Twice the same is one job: 201, then 200 with the same address. Another body or options with the key: 409."""
    first = api.post("/v1/jobs", CLASSIFY, Idempotency_Key="k-1")
    again = api.post("/v1/jobs", CLASSIFY, Idempotency_Key="k-1")
    assert (first.status, again.status) == (201, 200)
    assert first.headers["location"] == again.headers["location"]
    for other in ({**CLASSIFY, "input": {"text": "y", "labels": LABELS}}, {**CLASSIFY, "options": {"priority": "low"}}):
        api.post("/v1/jobs", other, Idempotency_Key="k-1").problem(409, "idempotency-conflict")
    assert house.query("SELECT count(*) FROM jobs WHERE tenant_id = %s", tenant) == [(1,)]


def test_options_reach_the_job(api: Api, house: House) -> None:
    """What was chosen stands in the job's row; a span until the deadline counts on the database's clock."""
    chosen = {"fallback": "person", "deadline": "PT2H", "priority": "high", "on_outage": "wait", "prompt_version": "v1"}
    job = api.submitted(options=chosen)
    ((*row, hours),) = house.query(
        "SELECT fallback, priority, on_outage, prompt_version, extract(epoch FROM deadline - created_at) / 3600 FROM jobs"
        " WHERE id = %s",
        job,
    )
    assert (row, float(hours)) == (["person", 1, "wait", "v1"], 2.0)


def test_a_cancelled_job_is_over_and_stays_so(api: Api, house: House) -> None:
    """DELETE answers with the job as it is now; once more changes nothing; the story names the key."""
    job = api.submitted()
    for _ in range(2):
        answer = api.delete(f"/v1/jobs/{job}")
        assert (answer.status, answer.json["state"]) == (200, "cancelled")
    assert house.query("SELECT kind, actor FROM events WHERE job_id = %s", job) == [("cancelled", "key:a producer")]


def test_the_id_of_a_batch_is_no_job(api: Api) -> None:
    """Neither read nor cancelled through the address of jobs, nor a job through that of batches."""
    batch = api.upload(texts(2)).json["batch_id"]
    job = api.submitted()
    for method, path in [
        ("GET", f"/v1/jobs/{batch}"),
        ("DELETE", f"/v1/jobs/{batch}"),
        ("DELETE", f"/v1/batches/{job}"),
    ]:
        api.ask(method, path).problem(404, "not-found")
    assert api.get(f"/v1/batches/{batch}").json["states"] == {"queued": 2}
    assert api.get(f"/v1/jobs/{job}").json["state"] == "queued"


def test_a_list_is_walked_once_from_the_newest_on(api: Api) -> None:
    """Following `next`, or the header Link, meets every job once, newest first, whatever is submitted meanwhile."""
    made = [api.submitted() for _ in range(7)]
    seen: list[str] = []
    path: str | None = "/v1/jobs?limit=3"
    while path is not None:
        page = api.get(path)
        seen += [job["job_id"] for job in page.json["jobs"]]
        link = page.headers.get("link")
        assert (link is None) == (page.json["next"] is None)
        path = link and link.removeprefix("<").partition(">")[0]
        api.submitted()
    assert seen == made[::-1]


def test_a_list_is_filtered(api: Api) -> None:
    """By state, task and batch; a batch in the order of its lines, page by page."""
    cancelled = api.submitted()
    api.delete(f"/v1/jobs/{cancelled}")
    summary = api.submitted(task="summarize", input={"text": "Long text."})
    batch = api.upload(texts(5)).json["batch_id"]

    def ids(query: str) -> list[str]:
        return [job["job_id"] for job in api.get(f"/v1/jobs?{query}").json["jobs"]]

    assert ids("state=cancelled") == [cancelled]
    assert ids("task=summarize") == [summary]
    assert ids("task=summarize&state=failed") == []
    page = api.get(f"/v1/jobs?batch_id={batch}&limit=3").json
    rest = api.get(f"/v1/jobs?batch_id={batch}&limit=3&after={page['next']}").json
    assert [job["line"] for job in page["jobs"] + rest["jobs"]] == [1, 2, 3, 4, 5]
    assert rest["next"] is None


def test_a_rare_state_is_looked_for_a_bounded_way_at_a_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that nothing recent passes gives empty pages with a cursor, and what is far back is found in the end."""
    monkeypatch.setattr(listing, "LOOKED_THROUGH", 3)
    old = api.submitted()
    api.delete(f"/v1/jobs/{old}")
    for _ in range(7):
        api.submitted()
    pages, after = [], ""
    while True:
        page = api.get(f"/v1/jobs?state=cancelled{after}").json
        pages.append([job["job_id"] for job in page["jobs"]])
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert pages == [[], [], [old]]


def test_cursors_that_are_not_ours_are_refused(api: Api) -> None:
    """Garbage, and the cursor of another list, are wrong and named; they never reach the database."""
    api.upload(texts(3))
    batch = api.upload(texts(3)).json["batch_id"]
    of_batch = api.get(f"/v1/jobs?batch_id={batch}&limit=1").json["next"]
    for cursor in ("x", "%00", "AAAA", of_batch, "é", "aQ" * 40):
        found = api.get(f"/v1/jobs?after={cursor if cursor != 'é' else '%C3%A9'}").problem(400, "invalid-request")
        assert found["errors"][0]["path"] == "after"


def test_another_tenants_job_is_not_there(api: Api, database: Database, port: int) -> None:
    """Read, cancelled or listed by another tenant's key: exactly as an id that nobody has."""
    other = f"t{new_id().hex[-12:]}"
    create_tenant(database, other, "another")
    stranger = client(database, port, other)
    job = api.submitted()
    for method in ("GET", "DELETE"):
        theirs, nobodys = stranger.ask(method, f"/v1/jobs/{job}"), stranger.ask(method, f"/v1/jobs/{uuid4()}")
        theirs.problem(404, "not-found")
        assert theirs.body == nobodys.body
    assert stranger.get("/v1/jobs").json["jobs"] == []
    assert api.get(f"/v1/jobs/{job}").json["state"] == "queued"


def test_an_operators_key_reads_and_cancels_but_does_not_submit(
    api: Api, database: Database, port: int, tenant: str
) -> None:
    """Operators look after jobs of their tenant; submitting is the producers'."""
    operator = client(database, port, tenant, Role.OPERATOR)
    job = api.submitted()
    assert operator.get(f"/v1/jobs/{job}").status == 200
    assert operator.delete(f"/v1/jobs/{job}").json["state"] == "cancelled"
    operator.post("/v1/jobs", CLASSIFY).problem(404, "not-found")


def test_every_task_is_described_with_its_contract(api: Api) -> None:
    """The catalogue as JSON Schema: what `input` takes and what `answer` will be."""
    tasks = {one["task"]: one for one in api.get("/v1/tasks").json["tasks"]}
    assert set(tasks) == {"classify", "extract", "summarize"}
    assert {"request", "answer"} <= set(tasks["classify"]["contract"]["properties"])
