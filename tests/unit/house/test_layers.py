"""The rules of the house hold for every folder there is."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def packages() -> set[str]:
    """The folders that hold code of ours."""
    return {
        path.parent.name
        for path in ROOT.glob("*/__init__.py")
        if path.parent.name not in {"tests", "benchmarks", "docs"}
    }


def test_every_package_has_its_layer() -> None:
    """No folder escapes the layer contract, the type check or the installation."""
    linter = PROJECT["tool"]["importlinter"]
    layered = {name.strip() for layer in linter["contracts"][0]["layers"] for name in layer.split("|")}
    installed = {pattern.rstrip("*") for pattern in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert set(linter["root_packages"]) == layered == installed == packages()
    assert set(PROJECT["tool"]["mypy"]["packages"]) == packages() | {"tests", "benchmarks"}


def test_submitting_does_not_import_the_model_sdk() -> None:
    """A producer's process pays nothing for the SDK, whose import takes seconds."""
    modules = "jobs.submit, jobs.dispatch, jobs.show, jobs.review, workers.celery, workers.publisher"
    done = subprocess.run(
        [sys.executable, "-c", f"import {modules}, sys; print(sorted({{'anthropic', 'httpx2'}} & set(sys.modules)))"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().strip() == "[]"


def test_importing_connects_to_nothing() -> None:
    """Every module can be imported without a database, a broker or a key, and without settings."""
    code = (
        "import pkgutil, importlib, socket\n"
        "def refuse(*a, **k): raise AssertionError('a connection at import time')\n"
        "socket.socket.connect = refuse\n"
        f"for package in {sorted(packages())!r}:\n"
        "    root = importlib.import_module(package)\n"
        "    for module in pkgutil.walk_packages(root.__path__, package + '.'):\n"
        "        if '__main__' not in module.name and '.migrations' not in module.name:\n"
        "            importlib.import_module(module.name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/"},
    )
    assert done.returncode == 0, done.stderr.decode()


def test_lock_files_hold_no_address() -> None:
    """Locks pin versions and hashes and name no place to download from."""
    for lock in (ROOT / "requirements").glob("*.lock"):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text, lock.name
        assert "--hash=sha256:" in text, lock.name
