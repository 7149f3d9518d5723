"""Which window, duration or number did somebody mean who wrote it in another way?"""

import re

from sidecar.domain.windows import Fixed, parse_duration

_UNITS = {
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "m": "m", "min": "m", "mins": "m", "minute": "m", "minutes": "m", "minutely": "m",
    "h": "h", "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "hourly": "h",
    "d": "d", "day": "d", "days": "d", "daily": "d",
}  # fmt: skip
_WEEKS = frozenset({"w", "wk", "week", "weeks", "weekly"})
_MONTHS = frozenset({"mo", "month", "months", "monthly"})
_YEARS = frozenset({"y", "yr", "year", "years", "yearly", "annual", "annually"})
_FIXED_UNITS = {"h": Fixed.HOUR, "d": Fixed.DAY}
_AMOUNT = re.compile(r"(?:per |every |each )?\s*([0-9]*)\s*[_-]?\s*([A-Za-z]+)")
_THOUSANDS = {"k": 1_000, "m": 1_000_000, "mio": 1_000_000, "million": 1_000_000, "b": 10**9}
_SHORT_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)?")


def window_meant(text: str) -> str:
    """`did you mean '1m'?` for `minute`, `per day` and the like; "" where nobody can tell."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        return ""
    number, word = found[1], found[2]
    if word == "M":
        return f"did you mean '{number or 1}m' for minutes, or 'month'?"
    word = word.lower()
    if word in _MONTHS and number in {"", "1"}:
        return f"did you mean '{Fixed.MONTH.value}'?"
    if word in _WEEKS and number in {"", "1"}:
        return f"did you mean '{Fixed.WEEK.value}'?"
    if number == "" and (fixed := _FIXED_UNITS.get(_UNITS.get(word, ""))) is not None:
        return f"did you mean '{fixed.value}'?"
    return duration_meant(text)


def duration_meant(text: str) -> str:
    """`did you mean '3d'?` for `3days`; "" where nobody can tell."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        return ""
    number, word = int((found[1] or "1")[:9]), found[2].lower()
    if word in _WEEKS | _MONTHS | _YEARS:
        meant = f"{number * (7 if word in _WEEKS else 30 if word in _MONTHS else 365)}d"
    else:
        meant = f"{number}{_UNITS.get(word, '')}"
    return f"did you mean '{meant}'?" if parse_duration(meant) is not None else ""


def number_meant(found: object) -> int | None:
    """100000 for `100k`, 1000000 for `1e6`; None where nobody can tell."""
    if isinstance(found, float):
        return int(found) if found.is_integer() and abs(found) < 2**53 else None
    short = _SHORT_NUMBER.fullmatch(re.sub(r"(?<=[0-9])[ _,](?=[0-9]{3}\b)", "", str(found)))
    if short is None or len(str(found)) > 20:
        return None
    factor = 1 if short[2] is None else _THOUSANDS.get(short[2].lower(), 0)
    value = round(float(short[1]) * factor)
    return value if factor and abs(value - float(short[1]) * factor) < 1e-6 else None
