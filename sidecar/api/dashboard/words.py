"""How are numbers, times and names written for a person?"""

from datetime import UTC, datetime, timedelta
from typing import Final

_MICRO: Final = 1_000_000
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
_PER: Final = {"app": "the app", "user": "each user"}
_WINDOWS: Final = {
    "billing_month": "billing month",
    "billing_period": "billing period",
    "lifetime": "lifetime",
}
_UNITS: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day"}


def number(value: float | None) -> str:
    """With commas; nothing for none."""
    return "–" if value is None else f"{value:,}"


def cost(micro: int | None, currency: str) -> str:
    """Micro-units of a currency as units; small ones with all their places."""
    if micro is None:
        return "–"
    units = micro / _MICRO
    text = f"{units:,.2f}" if abs(units) >= 1 or micro == 0 else f"{units:.6f}".rstrip("0")
    return f"{text} {currency}".strip()


def cost_in_line(micro: int) -> str:
    """A cost under others: all with as many places."""
    return f"{micro / _MICRO:,.4f}"


def units(value: int | None, meter: str, currency: str = "") -> str:
    """So many units of a meter."""
    return cost(value, currency) if meter == "cost" else number(value)


def percent(part: float) -> str:
    """A part of the whole; far more than all is not told exactly."""
    return "> 999 %" if part >= 10 else f"{part * 100:.0f} %"


def instant(value: datetime | str | None) -> datetime | None:
    """A time, as the API writes it too."""
    if not value:
        return None
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.astimezone(UTC)


def clock_time(at: datetime, now: datetime) -> str:
    """A time of today without its day."""
    text = at.isoformat(" ", "seconds")
    return text[11:19] if at.date() == now.date() else text[:16]


def away(at: datetime, now: datetime) -> str:
    """How far a time is from now."""
    distance = at - now
    text = _length(abs(distance))
    return f"in {text}" if distance > timedelta() else f"{text} ago"


def _length(length: timedelta) -> str:
    if length >= _DAY:
        days, rest = divmod(length, _DAY)
        hours = rest // _HOUR
        return f"{days} d {hours} h" if hours and days < 10 else f"{days} d"
    if length >= _HOUR:
        hours, rest = divmod(length, _HOUR)
        return f"{hours} h {rest // _MINUTE} min"
    if length >= _MINUTE:
        return f"{length // _MINUTE} min"
    return f"{int(length.total_seconds())} s"


def window(text: str) -> str:
    """How a limit's window is said."""
    if text in _WINDOWS:
        return _WINDOWS[text]
    if text.endswith("ms") and text[:-2].isdigit():
        return f"{int(text[:-2]) / 1000:g} s"
    amount, unit = text[:-1], _UNITS.get(text[-1:], "")
    if unit and amount.isdigit():
        return unit if amount == "1" else f"{amount} {unit}s"
    return text


def per(names: list[str]) -> str:
    """Whom a limit is counted for."""
    told = [_PER.get(name, f"each {name}") for name in names if name != "app" or len(names) == 1]
    return " and ".join(told)


def plain(code: str) -> str:
    """A code as words."""
    return code.replace("_", " ")


def shown_name(value: str | None) -> str:
    """A value of a dimension; some use names none, and some is not told apart."""
    match value:
        case None:
            return "all others"
        case "":
            return "(not named)"
        case "*":
            return "(beyond what is told apart)"
        case _:
            return value
