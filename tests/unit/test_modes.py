"""How strictly is a policy taken under the operator's ceiling?"""

from itertools import product

import pytest

from sidecar.domain.modes import Ceiling, Mode

OFF, ADVISORY, ENFORCE = Mode.OFF, Mode.ADVISORY, Mode.ENFORCE


@pytest.mark.parametrize(
    ("ceiling", "file", "in_force"),
    [
        (Ceiling.AS_WRITTEN, OFF, OFF),
        (Ceiling.AS_WRITTEN, ADVISORY, ADVISORY),
        (Ceiling.AS_WRITTEN, ENFORCE, ENFORCE),
        (Ceiling.RAISED, OFF, OFF),
        (Ceiling.RAISED, ADVISORY, ENFORCE),
        (Ceiling.RAISED, ENFORCE, ENFORCE),
        (Ceiling.CAPPED, OFF, OFF),
        (Ceiling.CAPPED, ADVISORY, ADVISORY),
        (Ceiling.CAPPED, ENFORCE, ADVISORY),
    ],
)
def test_the_ceiling_changes_the_mode_of_a_file(
    ceiling: Ceiling, file: Mode, in_force: Mode
) -> None:
    assert ceiling.over(file) is in_force


def test_every_ceiling_is_in_the_table_for_every_mode() -> None:
    assert len(list(product(Ceiling, Mode))) == 9


@pytest.mark.parametrize(
    ("one", "other", "milder"),
    [
        (OFF, OFF, OFF),
        (OFF, ENFORCE, OFF),
        (ADVISORY, OFF, OFF),
        (ADVISORY, ENFORCE, ADVISORY),
        (ENFORCE, ADVISORY, ADVISORY),
        (ENFORCE, ENFORCE, ENFORCE),
    ],
)
def test_of_two_modes_the_milder_holds(one: Mode, other: Mode, milder: Mode) -> None:
    assert one.narrowed(other) is milder
