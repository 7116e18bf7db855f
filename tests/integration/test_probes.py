"""Every route of the web, asked by everybody: who may not is told what everybody is told, and nothing tells what is refused
from what does not exist.

Who gets what stands in ``tests/access_table.py`` and, for people, in ``docs/access.md``.
"""

from dataclasses import replace
from urllib.parse import quote

import pytest

from jobs.tenancy import create_key, create_tenant, revoke_key
from schemas.access import Role
from schemas.ids import new_id
from storage.database import Database
from tests.access_table import PAGE, TABLE, Door, Outcome, Who, document
from tests.api_world import CLASSIFY, Api
from tests.house import House, settings_of
from tests.probes import PROBES, WEBHOOK, a_batch, a_delivery, a_job, a_review, an_undo
from tests.probing import FORM, Asker, Owner, ids_of_nobody, nobodies, owner_of, routes, seen
from web.app import make_app

pytestmark = pytest.mark.usefixtures("clean")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def owner(house: House, database: Database, port: int, tenant: str) -> Owner:
    """Whose things are asked for."""
    return owner_of(house, database, port, tenant)


@pytest.fixture
def stranger(house: House, database: Database, port: int) -> Owner:
    """Another tenant, whose people and keys have the same names."""
    other = f"t{new_id().hex[-12:]}"
    create_tenant(database, other, "another")
    return owner_of(house, database, port, other)


@pytest.fixture
def nobody(house: House, database: Database, port: int, tenant: str) -> dict[str, Asker]:
    """Whoever shows nothing, or nothing that is worth anything."""
    return nobodies(house, database, port, tenant)


def test_no_route_is_left_out(house: House) -> None:
    """A new route must say who may use it, and how it is asked."""
    known = [f"{method} {path}" for method, path in routes(make_app(settings_of(house)))]
    assert sorted(known) == sorted(TABLE) == sorted(PROBES)


def test_the_page_is_current() -> None:
    """docs/access.md is what the table says; ``python -m tests.access_table`` writes it."""
    assert PAGE.read_text(encoding="utf-8") == document()


def unknown_beside(route: str) -> str:
    """The same method at an address that does not exist, in the same part of the web."""
    method, path = route.split(" ")
    return f"{method} /{path.split('/')[1]}/there-is-no-such-address"


@pytest.mark.parametrize("route", TABLE)
def test_everybody_gets_what_the_table_says(
    route: str, owner: Owner, stranger: Owner, nobody: dict[str, Asker]
) -> None:
    """Nobody, with whatever they show: one answer. A role that may not use the route: the answer of an address that does not
    exist. Another tenant's key or session, with ids that are somebody's: the answer to ids of nobody. After all of them nothing
    has changed; and then the owner, with the same request, is answered."""
    place, probe = TABLE[route], PROBES[route]
    ids = probe.ids(owner)
    others = ids_of_nobody(ids)
    before = owner.state()

    refusals = {name: seen(probe.ask(one, route, ids), ids) for name, one in nobody.items()}
    assert all(one == refusals["nothing"] for one in refusals.values()), refusals
    check(route, place.outcome(Who.NOBODY), refusals["nothing"])

    for who, asker in [*stranger.people.items(), *owner.people.items()]:
        is_own, outcome = asker in owner.people.values(), place.outcome(who)
        if outcome is Outcome.ANSWERED or (is_own and outcome is Outcome.OWN):
            continue
        answer = seen(probe.ask(asker, route, ids), ids)
        assert answer == seen(probe.ask(asker, route, others), others), who
        if outcome is Outcome.UNKNOWN:
            assert answer == seen(probe.ask(asker, unknown_beside(route), ids), ids), who
        if outcome in {Outcome.KEY_NEEDED, Outcome.SIGN_IN}:
            assert answer == refusals["nothing"], who
        check(route, outcome, answer)
    assert owner.state() == before

    for who in Who:
        outcome = place.outcome(who)
        if outcome is Outcome.ANSWERED:
            assert probe.ask(stranger.people.get(who, nobody["nothing"]), route, ids).status in probe.statuses, who
        if outcome is Outcome.OWN:
            fresh = probe.ids(owner)
            assert probe.ask(owner.people[who], route, fresh).status in probe.statuses, who


def check(route: str, outcome: Outcome, answer: tuple[int, dict[str, str], bytes]) -> None:
    """The answer is of the kind that the table says."""
    status, headers, _ = answer
    match outcome:
        case Outcome.ANSWERED:
            assert status in PROBES[route].statuses
        case Outcome.OWN | Outcome.UNKNOWN:
            assert status == 404
        case Outcome.KEY_NEEDED:
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
        case Outcome.SIGN_IN:
            assert status == 303
            assert headers["location"].partition("?")[0] == "/signin"


def test_other_methods_tell_nothing(owner: Owner, stranger: Owner, nobody: dict[str, Asker]) -> None:
    """A path that names a thing, asked by a method that it does not know: whose id it names makes no difference, to nobody."""
    askers = [nobody["nothing"], *stranger.people.values()]
    paths = {route.split(" ")[1] for route, place in TABLE.items() if place.names and "{" in route}
    for path in sorted(paths):
        ids = next(PROBES[route].ids(owner) for route in TABLE if route.endswith(f" {path}"))
        others = ids_of_nobody(ids)
        for method in METHODS:
            if f"{method} {path}" in TABLE:
                continue
            for asker in askers:
                theirs, nothing = (seen(asker.ask(method, path.format(**of)), of) for of in (ids, others))
                assert theirs == nothing, (method, path, asker.who)
                assert theirs[0] in {303, 401, 404, 405}


def test_what_stands_beside_the_path_tells_nothing(owner: Owner, stranger: Owner) -> None:
    """Filters, cursors, form fields and second ids that are another tenant's give what those of nobody give: an id of theirs
    within an address of one's own, a tenant's name, a batch to list."""
    batch, job = a_batch(owner), a_job(owner)
    delivery, undo = a_delivery(owner), an_undo(owner)
    mine = a_delivery(stranger)
    own_hook = f"/v1/webhooks/{mine['webhook_id']}"
    lists = [
        ("/v1/jobs?batch_id={batch_id}", batch, (Who.PRODUCER_KEY, Who.OPERATOR_KEY)),
        ("/v1/jobs?batch_id={job_id}", job, (Who.PRODUCER_KEY, Who.OPERATOR_KEY)),
        ("/desk?tenant={tenant}", undo, (Who.REVIEWER,)),
    ]
    for address, ids, askers in lists:
        others = ids_of_nobody(ids)
        for who in askers:
            asker = stranger.people[who]
            theirs, nothing = (seen(asker.ask("GET", address.format(**of)), of) for of in (ids, others))
            assert theirs == nothing, (address, who)
    reviewer, producer = stranger.people[Who.REVIEWER], stranger.people[Who.PRODUCER_KEY]
    before = owner.state()
    for one in (undo, ids_of_nobody(undo)):
        sent = f"csrf={quote(reviewer.csrf)}&tenant={stranger.tenant}&job={one['job_id']}".encode()
        assert reviewer.ask("POST", "/desk/undo", sent, FORM).status == 404
    for one in (delivery, ids_of_nobody(delivery)):
        assert producer.ask("POST", f"{own_hook}/deliveries/{one['delivery_id']}/replay").status == 404
    for place in ("next", "second/next"):
        sent = f"csrf={quote(reviewer.csrf)}".encode()
        answer = reviewer.ask("POST", f"/desk/{place}?tenant={owner.tenant}", sent, FORM)
        assert (answer.status, answer.headers["location"].endswith("notice=none")) == (303, True)
    assert owner.state() == before


def test_lists_hold_a_tenants_own_things_only(owner: Owner, stranger: Owner) -> None:
    """What another tenant has made appears in no list, page or event stream without an id; on the operators' pages, which
    count and list everybody's jobs, it appears without a word of its text."""
    secret = f"a word that is nowhere else {new_id().hex}"
    body = {**CLASSIFY, "input": {**CLASSIFY["input"], "text": secret}}  # type: ignore[dict-item]
    assert owner.api.post("/v1/jobs", body).status == 201
    owner.api.post("/v1/webhooks", WEBHOOK)
    made = [*a_job(owner).values(), *a_batch(owner).values(), *a_review(owner).values(), *an_undo(owner).values()]
    looked = 0
    for route, place in TABLE.items():
        method, path = route.split(" ")
        for who, asker in stranger.people.items():
            if method != "GET" or "{" in path or place.outcome(who) is not Outcome.ANSWERED or place.door is Door.NONE:
                continue
            text = asker.ask("GET", path).body.decode()
            looked += 1
            assert secret not in text, path
            if who is not Who.OPERATOR and path != "/metrics":
                assert not [one for one in made if one in text], path
    assert looked > 15


def test_a_key_that_is_revoked_is_out_at_once(port: int, owner: Owner) -> None:
    """The next request is refused, and so is the next of a session that was opened with it."""
    key_id, key = create_key(owner.database, owner.tenant, "short-lived", Role.PRODUCER.value)
    api = Api(port, key)
    assert api.get("/v1/jobs").status == 200
    revoke_key(owner.database, key_id)
    api.get("/v1/jobs").problem(401, "unauthenticated")
    reviewer = owner.people[Who.REVIEWER]
    assert reviewer.ask("GET", "/desk").status == 200
    ((reviewers_key,),) = owner.house.query(
        "SELECT id FROM api_keys WHERE tenant_id = %s AND role = 'reviewer'", owner.tenant
    )
    revoke_key(owner.database, reviewers_key)
    assert reviewer.ask("GET", "/desk").status == 303


def test_a_key_and_a_session_do_not_add_up(owner: Owner) -> None:
    """Whoever sends both gets from each door what that one alone opens: a session makes no key better, nor the other way."""
    both = replace(owner.people[Who.REVIEWER], key=owner.people[Who.PRODUCER_KEY].key)
    assert both.ask("GET", "/v1/jobs").status == 200
    assert both.ask("GET", "/v1/reviews").status == 404
    assert both.ask("GET", "/metrics").status == 404
    assert both.ask("GET", "/desk").status == 200
    assert both.ask("GET", "/operators").status == 404
