"""The estimated cost of a job: fair between tenants, and cheap to make."""

import subprocess
import sys

import pytest
from genai_prices import Usage, calc_price

from jobs.contract import cost_of
from schemas.job import JobOptions
from schemas.settings import Settings
from tasks import catalogue, find_task
from tasks.estimate import OUTPUT_FACTOR, estimate
from tests.house import LABELS


@pytest.mark.parametrize("tier", ["small", "standard", "deep"])
def test_output_costs_five_times_input(tier: str) -> None:
    """The price list says of each tier's model what the estimate assumes of all."""
    model = Settings().tiers[tier]
    into, out = (
        calc_price(usage, model, provider_id="anthropic").total_price
        for usage in (Usage(input_tokens=1000), Usage(output_tokens=1000))
    )
    assert out == into * OUTPUT_FACTOR


def test_what_is_counted() -> None:
    """Thousands of: a third of the request's and the prompt's bytes, and five times a quarter of the cap on the answer."""
    classify = find_task("classify")
    prompt = classify.active_prompt
    assert prompt.head.max_tokens == 512
    assert estimate(classify, 3000) == pytest.approx((1000 + prompt.source_bytes / 3 + 5 * 128) / 1000)


@pytest.mark.parametrize("task", sorted(catalogue()))
def test_a_version_counts_for_itself(task: str) -> None:
    """Every version of every prompt has an estimate, more for a longer document; without one it is the active version's."""
    spec = find_task(task)
    for version in spec.prompts:
        assert 0 < estimate(spec, 0, version) < estimate(spec, 30_000, version)
    assert estimate(spec, 100) == estimate(spec, 100, spec.active_prompt.version)


def test_letters_of_all_scripts_count_as_utf8() -> None:
    """A document is not dearer for being stored as escapes: six bytes each there, two as UTF-8."""
    classify = find_task("classify")

    def cost(text: str) -> float:
        return cost_of(classify, {"text": text, "labels": LABELS}, JobOptions())

    assert cost("ж" * 3000) == cost("x" * 6000)


def test_estimating_imports_no_price_list() -> None:
    """Submitting stays light: neither the model SDK nor the price list is loaded for it."""
    code = "import tasks.estimate, jobs.submit, sys; print(sorted({'anthropic', 'genai_prices'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
