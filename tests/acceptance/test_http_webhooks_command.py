"""`assay webhooks` as an operator uses it."""

import json

from tests.house import House, run_assay


def test_a_webhook_is_made_listed_renewed_and_deleted(house: House) -> None:
    """Its secret is shown when it is made and when it is renewed, and at no other time."""
    made = run_assay(house, "webhooks", "create", "https://hooks.invalid/hook", "--event", "batch.finished", "--json")
    assert made.returncode == 0, made.stderr
    webhook = json.loads(made.stdout)
    assert webhook["secret"].startswith("whsec_")
    listed = run_assay(house, "webhooks", "list", "--json").stdout
    assert [one["webhook_id"] for one in json.loads(listed)] == [webhook["webhook_id"]]
    assert "whsec_" not in listed
    renewed = run_assay(house, "webhooks", "secret", webhook["webhook_id"])
    assert renewed.stdout.startswith("whsec_")
    assert renewed.stdout.strip() != webhook["secret"]
    assert run_assay(house, "webhooks", "delete", webhook["webhook_id"]).returncode == 0
    assert json.loads(run_assay(house, "webhooks", "list", "--json").stdout) == []


def test_what_is_wrong_is_one_sentence(house: House) -> None:
    """An address inside, an event that there is not, an id of nobody: exit code 2 and what to do."""
    inside = run_assay(house, "webhooks", "create", "https://10.0.0.1/")
    assert (inside.returncode, inside.stderr) == (2, "assay: leads to an address that is not public\n")
    assert run_assay(house, "webhooks", "create", "https://hooks.invalid/", "--event", "x").returncode == 2
    nobody = run_assay(house, "webhooks", "delete", "0195f3a2-77b0-7d15-a1c4-90e3f6b2d8aa")
    assert nobody.returncode == 2
    assert "There is no webhook" in nobody.stderr
