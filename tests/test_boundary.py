"""What is never in the package: fees, splits, payouts, a plan's price, a payment provider's keys.

It decides and counts; whoever takes money stands beside it. What an operator pays for a model is
another thing, and stands in a file of its own. `sidecar/examples` are an operator's programs, who
may hold a key of a provider: nothing imports them.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from sidecar.api.openapi import document, operations
from sidecar.bootstrap.server import create_app
from sidecar.policy.format import PolicyFile
from sidecar.settings import Settings
from tests.processes import ROOT

PACKAGE = ROOT / "sidecar"
EXAMPLES = PACKAGE / "examples"
TEXTS = {".py", ".lua", ".json", ".yaml", ".yml", ".toml", ".md", ".txt", ".html", ".css", ""}

MONEY = re.compile(
    r"(?i)(platform|application|service|transaction)[-_ ]?fee|fee[-_ ]?(percent|rate|bps|amount)"
    r"|revenue[-_ ]?(split|share|sharing)|pay[-_ ]?outs?\b|split[-_ ]?(percent|ratio)"
    r"|\b3\.5 ?%|\b96\.5 ?%|connected[-_ ]?account|transfer[-_ ]?group"
)
KEYS = re.compile(
    r"\b(sk|pk|rk)_(live|test)_|\bwhsec_[A-Za-z0-9]{8}|\bacct_[A-Za-z0-9]{8}|\bAKIA[0-9A-Z]{16}"
    r"|(?i:(stripe|paypal|paddle|braintree|adyen|lemon_?squeezy)_(secret|api|private|signing)_?key)"
)
PROVIDERS = {
    "adyen", "braintree", "chargebee", "gocardless_pro", "lemonsqueezy", "mollie", "paddle",
    "paddle_billing", "paypalrestsdk", "paypalserversdk", "razorpay", "recurly", "square", "stripe",
}  # fmt: skip
PRICED = re.compile(r"(?i)(^|_)(price|prices|fee|fees|discount|tax|invoice|payout|split)(_|$)")
"""A word of a field's name; `PRICES_OF_MODELS` are another thing."""
PRICES_OF_MODELS = {"sidecar_prices", "prices"}


def texts(*folders: Path) -> Iterator[tuple[Path, str]]:
    """Every file of these folders that people write, without the examples."""
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            is_ours = file.is_file() and "__pycache__" not in file.parts
            if is_ours and EXAMPLES not in file.parents and file.suffix in TEXTS:
                yield file, file.read_text(encoding="utf-8")


def fields_of(model: type[BaseModel]) -> Iterator[str]:
    """The names of all that may stand in a file of this form."""
    schema = model.model_json_schema(by_alias=True)
    for part in (schema, *schema.get("$defs", {}).values()):
        yield from part.get("properties", {})


@pytest.mark.parametrize(
    "said",
    [
        "PLATFORM_FEE = 3.5", "application_fee_amount", "fee_percent", "revenue split", "payout",
        "3.5%", "a payOut of", "revenueShare", "transfer_group",
    ],
)  # fmt: skip
def test_whoever_speaks_of_other_peoples_money_is_noticed(said: str) -> None:
    assert MONEY.search(said)


@pytest.mark.parametrize(
    "said", ["sk_live_51H", "whsec_c2VjcmV0", "STRIPE_SECRET_KEY", "paypal_api_key", "pk_test_1"]
)
def test_whoever_holds_a_key_of_a_provider_is_noticed(said: str) -> None:
    assert KEYS.search(said)


@pytest.mark.parametrize("name", ["price", "unit_price", "fee", "sales_tax", "split_ratio"])
def test_a_field_that_prices_something_is_noticed(name: str) -> None:
    assert PRICED.search(name)


def test_no_file_of_the_package_speaks_of_other_peoples_money_or_holds_a_key() -> None:
    read = list(texts(PACKAGE, ROOT / "policies"))

    assert len(read) > 300
    found = [f"{file}: {said[0]}" for file, text in read for said in MONEY.finditer(text)]
    found += [f"{file}: {said[0]}" for file, text in read for said in KEYS.finditer(text)]
    assert found == []


def test_no_module_imports_a_payment_provider() -> None:
    for file, text in texts(PACKAGE):
        if file.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(text)):
            imported = []
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
            assert PROVIDERS.isdisjoint(name.partition(".")[0] for name in imported), file


def test_a_provider_is_needed_by_an_example_and_the_tests_alone() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.split(r"[^A-Za-z0-9_.-]", it)[0].lower() for it in project["dependencies"]}

    assert PROVIDERS.isdisjoint(needed)
    with_provider = {
        extra
        for extra, wanted in project["optional-dependencies"].items()
        if any(re.split(r"[^A-Za-z0-9_.-]", it)[0].lower() in PROVIDERS for it in wanted)
    }
    assert with_provider <= {"stripe", "test", "dev"}


def test_no_policy_and_no_setting_has_a_price_of_a_plan() -> None:
    told = {*fields_of(PolicyFile), *Settings.model_fields}

    assert "plans" in told
    assert {name for name in told if PRICED.search(name)} <= PRICES_OF_MODELS
    for file, text in texts(ROOT / "policies"):
        if file.suffix in {".yaml", ".yml"} and file.parent.name != "prices":
            assert not re.search(r"(?i)\bprice\b|\bfees?\b", text), file


def test_no_setting_names_a_provider() -> None:
    providers = "|".join(PROVIDERS)

    for name, field in Settings.model_fields.items():
        assert not re.search(f"(?i){providers}", f"{name} {field.description}"), name


def test_no_body_and_no_answer_of_the_api_has_a_price_of_a_plan() -> None:
    def members(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            yield from part.get("properties", {})
            for each in part.values():
                yield from members(each)
        elif isinstance(part, list):
            for each in part:
                yield from members(each)

    told = set(members(document()["components"]["schemas"]))
    assert {"plan", "balance", "estimated_cost"} <= told
    assert {name for name in told if PRICED.search(name)} == set()


def test_no_webhook_of_a_provider_comes_in() -> None:
    providers = "|".join(PROVIDERS)
    app = create_app(Settings(sidecar_store="sqlite://"))

    served = {getattr(route, "path", "") for route in app.routes}
    assert {each.path for each in operations()} <= served
    assert [path for path in served if re.search(f"(?i){providers}|webhook", path)] == []
