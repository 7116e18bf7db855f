"""What the web does without."""

import subprocess
import sys
from pathlib import Path


def test_the_web_imports_neither_the_model_sdk_nor_celery() -> None:
    """With all its routes."""
    code = (
        "import sys, importlib, web.app\n"
        "[importlib.import_module(name) for name in web.app.ROUTERS]\n"
        "print(sorted({'anthropic', 'httpx2', 'celery', 'kombu', 'orchestration', 'workers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
