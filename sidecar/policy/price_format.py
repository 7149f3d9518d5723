"""What may stand in a price file (`kind: Prices`)?"""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from sidecar.policy.format import MetadataSection, Section
from sidecar.policy.values import ExactName, Glob

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


Price = Annotated[
    int,
    BeforeValidator(_micro_units),
    WithJsonSchema(
        {
            "type": ["number", "string"],
            "minimum": 0,
            "maximum": _DEAREST,
            "pattern": r"^(?=\.?[0-9])(0|[1-9][0-9]*)?(\.[0-9]*)?$",
        }
    ),
]


class RatesSection(Section):
    """What a million tokens of a model cost."""

    input: Price
    """What a million input tokens cost, as 2.50; at the finest in millionths."""
    output: Price
    """What a million output tokens cost."""


class PriceFile(Section):
    """One price file."""

    api_version: Annotated[Literal["sidecar/v1"], Field(alias="apiVersion")]
    """The version of this format."""
    kind: Literal["Prices"]
    """What kind of file this is."""
    metadata: MetadataSection | None = None
    """Whose prices these are."""
    currency: Annotated[StrictStr, Field(pattern=CURRENCY_PATTERN)]
    """Of every price, as USD; costs are counted in millionths of it."""
    models: Annotated[dict[Glob, RatesSection], Field(max_length=MOST_NAMES)]
    """Prices by the name of a model, or by a glob; an exact name comes first, then the longest."""
    aliases: dict[ExactName, ExactName] = Field({}, max_length=MOST_NAMES)
    """Other names of models that are above."""
    default: RatesSection | None = None
    """Of every model that is not above; without it those cost nothing."""
