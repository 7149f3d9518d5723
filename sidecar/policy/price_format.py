"""What may stand in a price file (`kind: Prices`)?"""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictStr
from pydantic_core import PydanticCustomError

from sidecar.policy.format import ExactName, Glob, MetadataSection, Section

CURRENCY_PATTERN = r"^[A-Z]{3}$"
MOST_NAMES = 1_000
_DIGITS = 6
"""Behind the point: counters count whole millionths of the currency."""
_DEAREST = 1_000
_PRICE = re.compile(r"(?=\.?[0-9])(0|[1-9][0-9]*)?(?:\.([0-9]*))?")


def _micro_units(value: object) -> int:
    """Millionths of the currency from a decimal number as it is written, without rounding."""
    number = _PRICE.fullmatch(str(value)) if type(value) in (int, str) else None
    if number is None:
        raise PydanticCustomError("price", "expected what a million tokens cost, as 2.50", {})
    whole, fraction = number[1] or "0", (number[2] or "").rstrip("0")
    if len(fraction) > _DIGITS:
        raise PydanticCustomError(
            "price", "expected what a million tokens cost, in millionths at the finest", {}
        )
    micro_units = int(whole[:9] + fraction.ljust(_DIGITS, "0"))
    if len(whole) > 9 or micro_units > _DEAREST * 10**_DIGITS:
        raise PydanticCustomError(
            "price", "expected at most {most} for a million tokens", {"most": f"{_DEAREST:,}"}
        )
    return micro_units


Price = Annotated[int, BeforeValidator(_micro_units)]


class RatesSection(Section):
    """What a million tokens cost, in micro-units of the currency."""

    input: Price
    output: Price


class PriceFile(Section):
    """One price file."""

    api_version: Annotated[Literal["sidecar/v1"], Field(alias="apiVersion")]
    kind: Literal["Prices"]
    metadata: MetadataSection | None = None
    currency: Annotated[StrictStr, Field(pattern=CURRENCY_PATTERN)]
    models: Annotated[dict[Glob, RatesSection], Field(max_length=MOST_NAMES)]
    aliases: dict[ExactName, ExactName] = Field({}, max_length=MOST_NAMES)
    default: RatesSection | None = None
