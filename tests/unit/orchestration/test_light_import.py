"""The model SDK costs seconds to import, and is imported only where a provider is made."""

import subprocess
import sys


def test_importing_orchestration_leaves_the_sdk_alone() -> None:
    """Preparing, judging and even naming the provider need neither the SDK nor its HTTP client."""
    code = "import sys, orchestration.pipeline; print(*{'anthropic', 'httpx2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
