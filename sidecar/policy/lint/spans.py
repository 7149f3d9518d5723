"""How many windows of one kind can a window of another kind meet?

What a limit allows in so many of its windows is the most that the other window can ever count.
"""

from collections.abc import Mapping

from sidecar.domain.windows import Fixed, Sliding, Window, rough_length_ms

DAY_MS = 86_400_000
_INSIDE: Mapping[Window, Mapping[Window, int]] = {
    Fixed.HOUR: {Fixed.DAY: 24, Fixed.WEEK: 168, Fixed.MONTH: 744},
    Fixed.DAY: {Fixed.WEEK: 7, Fixed.MONTH: 31},
    Fixed.BILLING_MONTH: {Fixed.BILLING_PERIOD: 0},
}
"""How many of a span lie in a longer one, where none lies across its edge; 0 for no bound."""
_MONTHS = (Fixed.MONTH, Fixed.BILLING_MONTH, Fixed.BILLING_PERIOD)
_ENDLESS = (Fixed.BILLING_PERIOD, Fixed.LIFETIME)


def windows_met(one: Window, other: Window, *, enforced: bool) -> int | None:
    """How many windows of the one a single window of the other can meet.

    None if nothing follows from what the first allows.

    Args:
        enforced: whether the first refuses; over a longer time use that is only warned of, or paid
            for by grants, has no bound.
    """
    if one is Fixed.LIFETIME or one == other or _lies_in(other, one):
        return 1
    lasts = rough_length_ms(other)
    length = 28 * DAY_MS if one in _MONTHS else rough_length_ms(one)
    if lasts <= length:
        return 1 if isinstance(one, Sliding) and isinstance(other, Fixed) else 2
    if not enforced or other in _ENDLESS:
        return None
    if isinstance(one, Sliding):
        return -(-lasts // length)
    return _INSIDE.get(one, {}).get(other, lasts // length + 2)


def _lies_in(inner: Window, outer: Window) -> bool:
    """Whether each window of the one lies in a single one of the other."""
    match inner, outer:
        case Sliding(), Sliding():
            # What is counted in a bucket may be a bucket older.
            return inner.length_ms + inner.bucket_ms <= outer.length_ms
        case Fixed(), Fixed():
            return outer in _INSIDE.get(inner, {})
    return False
