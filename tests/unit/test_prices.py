"""What do the tokens of a model cost?"""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.modes import Ceiling
from sidecar.domain.prices import NO_RATES, Rates
from sidecar.errors import ConfigurationError
from sidecar.policy.diagnostics import InvalidPrices
from sidecar.policy.load import load, shipped
from sidecar.policy.price_file import load_prices, prices_of
from sidecar.policy.prices import PriceList
from tests.processes import ROOT

HEADER = "apiVersion: sidecar/v1\nkind: Prices\ncurrency: USD\n"


def prices(text: str) -> PriceList:
    return prices_of(Path("prices.yaml"), (HEADER + text).encode())


def rate(written: str) -> int:
    """Micro-units of a price as it is written for input tokens."""
    rates = prices(f"models:\n  m: {{input: {written}, output: 0}}\n").of("m")
    assert rates is not None
    return rates.input


@pytest.mark.parametrize(
    ("written", "micro_units"),
    [
        ("2.50", 2_500_000),
        ("10.00", 10_000_000),
        ("3", 3_000_000),
        ("0", 0),
        ("0.000001", 1),
        (".5", 500_000),
        ("2.", 2_000_000),
        ('"0.15"', 150_000),
        ("0.0750000000000000000000000", 75_000),
        ("1000", 10**9),
        ("1000.000000", 10**9),
        ("999.999999", 999_999_999),
    ],
)
def test_a_price_is_taken_exactly_as_it_is_written(written: str, micro_units: int) -> None:
    assert rate(written) == micro_units


@given(st.integers(0, 10**9), st.integers(0, 6))
def test_every_price_down_to_a_millionth_is_exact(micro_units: int, zeros: int) -> None:
    written = f"{Decimal(micro_units).scaleb(-6):f}" + "0" * zeros
    assert rate(written) == micro_units


@pytest.mark.parametrize(
    "written",
    [
        "1000.000001", "0.0000001", "1e3", "-1", "010", "1_000", "1,5", ".", "''", "nan",
        ".inf", "0x10", "[1]", "{a: 1}", "٣", "9" * 400, "1." + "9" * 400,
    ],
)  # fmt: skip
def test_what_is_no_price_is_refused(written: str) -> None:
    with pytest.raises(InvalidPrices):
        rate(written)


CLOSEST = """
models:
  "*": {input: 1, output: 1}
  "gpt-*": {input: 2, output: 2}
  "gpt-4o*": {input: 3, output: 3}
  gpt-4o-mini: {input: 4, output: 4}
  "claude-?": {input: 5, output: 5}
aliases:
  "the small one": gpt-4o-mini
  latest: gpt-5
  "claude-9": gpt-4o-mini
"""


@pytest.mark.parametrize(
    ("model", "units"),
    [
        ("gpt-4o-mini", 4),
        ("gpt-4o-mini-2", 3),
        ("gpt-4o", 3),
        ("gpt-5", 2),
        ("claude-3", 5),
        ("claude-30", 1),
        ("GPT-4o", 1),
        ("", 1),
        ("the small one", 4),
        ("latest", 2),
        ("claude-9", 4),
    ],
)
def test_the_closest_name_gives_the_price(model: str, units: int) -> None:
    assert prices(CLOSEST).of(model) == Rates(units * 10**6, units * 10**6)


def test_a_model_that_is_not_known_has_the_default_rates_or_none() -> None:
    known = "models:\n  m: {input: 1, output: 1}\n"
    without, with_default = prices(known), prices(known + "default: {input: 5, output: 15}\n")

    assert (without.of("x"), without.default) == (None, NO_RATES)
    assert (with_default.of("x"), with_default.default) == (None, Rates(5 * 10**6, 15 * 10**6))


def test_globs_of_one_length_that_never_meet_are_no_tie() -> None:
    found = prices('models:\n  "a-*": {input: 1, output: 1}\n  "b-*": {input: 2, output: 2}\n')
    assert found.of("b-1") == Rates(2 * 10**6, 2 * 10**6)


def test_json_is_read_as_well() -> None:
    text = '{"apiVersion": "sidecar/v1", "kind": "Prices", "currency": "EUR", "models": {}}'
    assert prices_of(Path("prices.json"), text.encode()).currency == "EUR"


def test_a_file_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no\.yaml: cannot be read: No such file"):
        load_prices(tmp_path / "no.yaml")


def test_the_shipped_example_loads_and_is_no_policy() -> None:
    example = ROOT / "policies/prices/example.yaml"

    assert load_prices(example).of("gpt-4o-2024-08-06") == Rates(2_500_000, 10_000_000)
    assert load_prices(example).of("chatgpt-4o-latest") == Rates(2_500_000, 10_000_000)
    with pytest.raises(ConfigurationError, match="prices are no policy"):
        load(example.parent, ceiling=Ceiling.AS_WRITTEN)
    assert shipped("prices") == example.parent


def test_very_many_models_load_in_good_time() -> None:
    lines = [f'  "model-{number:04}-*": {{input: 1, output: 2}}\n' for number in range(1_000)]
    assert prices("models:\n" + "".join(lines)).of("model-0999-x") == Rates(10**6, 2 * 10**6)
