"""Directories of policies as nobody wrote them: each is put in force, or refused with its places.

Shipped directories are mangled (letters, lines, whole files), and judged as a server judges what
somebody saves; whatever is accepted decides a request.
"""

import shutil
from pathlib import Path
from random import Random
from typing import Final

from sidecar.policy.reloading.contents import Origin
from sidecar.policy.reloading.judging import Accepted, Refused, judge
from tests.broken.museum import STARTING_POINTS
from tests.fuzzing.tally import Tally

_WORDS: Final = (
    b"null", b"{}", b"[]", b"- ", b": ", b"\t", b"  ", b"&a ", b"*a", b"<<: ", b"---\n", b"...\n",
    b"!!python/object:x ", b"#", b"'", b'"', b"|\n", b">\n", b"? ", b"%YAML 1.2\n", b"\x00",
    b"\xff\xfe", b"\xef\xbb\xbf", "\u2028".encode(), b"1e999", b"-1", b"9" * 400, b"a" * 5_000,
    b"[" * 2_000, b"${HOME}", b"{{x}}", b"when: 'true'", b"max: -5", b"extends: pro",
    b"request.user_id", b"matches('(a+)+$')", b"apiVersion: sidecar/v1", b"kind: Policy",
)  # fmt: skip


def judge_mangled(folder: Path, directories: int, seed: int) -> Tally:
    """Mangle and judge so many."""
    tally, chance = Tally(), Random(seed)
    for number in range(directories):
        start = chance.choice(STARTING_POINTS)
        directory = folder / "policies"
        shutil.copytree(start, directory)
        try:
            _mangle(directory, chance)
            tally.operations[_outcome(directory)] += 1
        except Exception as error:  # noqa: BLE001  whatever it is, it is what is looked for
            kept = folder / f"failed-{number}"
            shutil.copytree(directory, kept, symlinks=True)
            tally.failures.setdefault(type(error).__name__, f"{kept}: {error!r}")
        finally:
            shutil.rmtree(directory)
        tally.asked += 1
    return tally


def _outcome(directory: Path) -> str:
    match judge(Origin(directory, tests_s=1.0)):
        case Accepted() as accepted:
            assert accepted.policies.revision.startswith("sha256:")
            return "accepted"
        case Refused() as refused:
            assert refused.message
            assert "Traceback" not in refused.message
            return f"refused, {refused.fault}"
        case None:
            raise AssertionError("nothing was judged before")


def _mangle(directory: Path, chance: Random) -> None:
    """One to four mutations of any size."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        files = sorted(each for each in directory.rglob("*") if each.is_file())
        if not files:
            return
        file = chance.choice(files)
        other = file.with_name(f"other-{chance.randrange(100)}{file.suffix}")
        if other.exists() or other.is_symlink():
            continue
        match chance.randrange(12):
            case 0:
                file.rename(file.with_suffix(chance.choice((".yml", ".json", ".txt", ""))))
            case 1:
                shutil.copy(file, other)
            case 2:
                other.symlink_to(chance.choice((file.name, other.name, "nowhere", "..")))
            case 3:
                file.write_bytes(file.read_bytes()[: chance.randrange(file.stat().st_size + 1)])
            case 4:
                other.mkdir(exist_ok=True)
            case 5:
                file.write_bytes(chance.randbytes(chance.randrange(200)))
            case _:
                file.write_bytes(_mangled(file.read_bytes(), chance))


def _mangled(text: bytes, chance: Random) -> bytes:
    lines = text.splitlines(keepends=True) or [b""]
    at = chance.randrange(len(lines))
    match chance.randrange(7):
        case 0:
            del lines[at]
        case 1:
            lines.insert(chance.randrange(len(lines) + 1), lines[at])
        case 2:
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = b" " * chance.randrange(9) + lines[at].lstrip()
        case 4:
            lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)] + chance.choice(_WORDS)
        case 5:
            spot = chance.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:spot] + chance.choice(_WORDS) + lines[at][spot:]
        case _:
            spot = chance.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:spot] + chance.randbytes(1) + lines[at][spot + 1 :]
    return b"".join(lines)
