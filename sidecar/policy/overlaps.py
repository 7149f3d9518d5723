"""Is there a name that two globs both match?"""

from collections.abc import Iterable

_ANY = "*"
_State = tuple[int, int]


def common_name(one: str, other: str) -> str | None:
    """A shortest such name, None if there is none.

    Both are read from left to right at once: a state is how far each has come, and each
    character of a name leads from some states to others.
    """
    if _differ(one, other) or _differ(one[::-1], other[::-1]):
        return None
    names: dict[_State, str] = {(0, 0): ""}
    reached = _with_stars_ended(one, other, names, [(0, 0)])
    while reached and (len(one), len(other)) not in names:
        following = []
        for i, j in reached:
            character = _both(one[i : i + 1], other[j : j + 1])
            state = (i + (one[i : i + 1] != _ANY), j + (other[j : j + 1] != _ANY))
            if character and state not in names:
                names[state] = names[i, j] + character
                following.append(state)
        reached = _with_stars_ended(one, other, names, following)
    return names.get((len(one), len(other)))


def _with_stars_ended(
    one: str, other: str, names: dict[_State, str], states: Iterable[_State]
) -> list[_State]:
    """The states, and those to which they lead without a further character."""
    reached = list(states)
    for i, j in reached:
        nearby = [(i + 1, j)] if one[i : i + 1] == _ANY else []
        nearby += [(i, j + 1)] if other[j : j + 1] == _ANY else []
        for state in nearby:
            if state not in names:
                names[state] = names[i, j]
                reached.append(state)
    return reached


def _differ(one: str, other: str) -> bool:
    """Whether two globs begin with different letters, as most do that have no name in common."""
    for a, b in zip(one, other, strict=False):
        if _ANY in (a, b):
            return False
        if not _both(a, b):
            return True
    return False


def _both(a: str, b: str) -> str:
    """A character that stands for both of these, empty if none does or one is at its end."""
    if not a or not b:
        return ""
    if a in "*?":
        return "x" if b in "*?" else b
    return a if b in ("*", "?", a) else ""
