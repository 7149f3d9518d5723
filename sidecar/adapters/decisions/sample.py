"""Whose allows are written down, where not all are?

Those of some users, and of these every one: what a user has used can only be added up again from
all that the user was allowed.
"""

from zlib import crc32

from sidecar.domain.request import Subject

_ALL = 2**32


def is_sampled(subject: Subject, part: float) -> bool:
    """Whether a subject belongs to a part (0 to 1) of all; the same in every process."""
    if part >= 1:
        return True
    return crc32(f"{subject.app_id}\0{subject.user_id}".encode()) < part * _ALL
