"""From a directory of policy files to one compiled set, or to everything that is wrong with it."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sidecar.domain.modes import Ceiling
from sidecar.errors import ConfigurationError
from sidecar.policy.compiler import compile_files
from sidecar.policy.diagnostics import Diagnostic, InvalidPolicies
from sidecar.policy.files import content_of, source_of
from sidecar.policy.format import PolicyFile
from sidecar.policy.lineage import Plans
from sidecar.policy.pace import breathe
from sidecar.policy.price_file import is_price_file
from sidecar.policy.prices import PriceList
from sidecar.policy.reader import read
from sidecar.policy.remedies import Urls
from sidecar.policy.snapshot import PolicySet
from sidecar.policy.source import SourceFile
from sidecar.policy.unit import Unit

_SUFFIXES = {".yaml", ".yml", ".json"}
SHIPPED_SETS = ("quickstart", "self-hosted", "platform")


def shipped(name: str) -> Path:
    """The directory of a policy set that comes with the package."""
    package = Path(__file__).parent.parent
    installed = package / "shipped_policies" / name
    # In a checkout the sets stand beside the package, not inside it.
    return installed if installed.is_dir() else package.parent / "policies" / name


def policy_files(path: Path) -> list[Path]:
    """The policy files of a directory, by name; a file stands for itself.

    Tests (`*_test.yaml`), hidden files and sub-directories are no policies.

    Raises:
        ConfigurationError: there is no such path, or no policy in it, or what is named as one
            is no file.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigurationError(
            f"{path}: there is no such policy directory; name one with --policies or "
            "SIDECAR_POLICIES, or leave both out for the self-hosted set"
        )
    files = [entry for entry in _written_in(path) if not is_test(entry)]
    _refuse_what_is_no_file(files, "policy")
    if not files:
        raise ConfigurationError(
            f"{path}: no policy in this directory; it needs at least one file that ends in .yaml"
        )
    return files


def test_files(path: Path) -> list[Path]:
    """The tests beside the policies of a directory, by name; one policy file has none.

    Raises:
        ConfigurationError: the directory cannot be read, or what is named as a test is no file.
    """
    if not path.is_dir():
        return []
    files = [entry for entry in _written_in(path) if is_test(entry)]
    _refuse_what_is_no_file(files, "test")
    return files


def _refuse_what_is_no_file(entries: Iterable[Path], named_as: str) -> None:
    """Let nobody wait for a pipe, nor be told of a name that a terminal or JSON cannot bear."""
    for entry in entries:
        if not entry.name.isprintable():
            raise ConfigurationError(
                f"{entry.parent}: a file has the name {entry.name!a}, which cannot be shown; "
                "give it another one"
            )
        if not entry.is_file():
            what = "a link to nothing" if entry.is_symlink() and not entry.exists() else "no file"
            raise ConfigurationError(
                f"{entry}: this is {what}, but is named as a {named_as}; mend it or take it away"
            )


def _written_in(directory: Path) -> list[Path]:
    try:
        entries = sorted(directory.iterdir())
    except OSError as error:
        raise ConfigurationError(f"{directory}: cannot be read: {error.strerror}") from error
    return [
        entry
        for entry in entries
        if entry.suffix.lower() in _SUFFIXES and not entry.name.startswith(".")
    ]


def is_test(file: Path) -> bool:
    """Whether a file is a test by its name."""
    return file.stem.lower().endswith("_test")


@dataclass(frozen=True, slots=True)
class Examined:
    """A directory as it was found.

    Attributes:
        policies: what it says; None where something is wrong.
        units: its files, of those that could be read.
        plans: as they are written, by name.
        findings: everything that is wrong.
    """

    policies: PolicySet | None
    units: Sequence[Unit]
    plans: Plans
    findings: Sequence[Diagnostic]


def load(
    path: Path,
    *,
    ceiling: Ceiling,
    urls: Urls | None = None,
    prices: PriceList | None = None,
) -> PolicySet:
    """The compiled policies of a directory.

    Args:
        ceiling: what the operator's settings do to the modes that files state.
        prices: of models; without them no limit may count cost.

    Raises:
        InvalidPolicies: with every finding of every file.
        ConfigurationError: there is nothing to load.
    """
    examined = examine(path, ceiling=ceiling, urls=urls, prices=prices)
    if examined.policies is None:
        raise InvalidPolicies(examined.findings)
    return examined.policies


def examine(
    path: Path,
    *,
    ceiling: Ceiling,
    urls: Urls | None = None,
    prices: PriceList | None = None,
) -> Examined:
    """The files of a directory with all that they say, and everything that is wrong with them.

    Raises:
        ConfigurationError: there is nothing to load.
    """
    read_now = [(file, content_of(file)) for file in policy_files(path)]
    return examine_contents(read_now, ceiling=ceiling, urls=urls, prices=prices)


def examine_contents(
    contents: Iterable[tuple[Path, bytes]],
    *,
    ceiling: Ceiling,
    urls: Urls | None = None,
    prices: PriceList | None = None,
) -> Examined:
    """The same of files whose contents were read before, whatever stands there now."""
    digest = hashlib.sha256()
    findings: list[Diagnostic] = []
    files: list[tuple[SourceFile, PolicyFile]] = []
    lost: set[str] = set()
    unreadable = False
    for file, content in contents:
        breathe()
        digest.update(f"{file.name}\0{len(content)}\0".encode())
        digest.update(content)
        source = source_of(file, content)
        if isinstance(source, Diagnostic):
            findings.append(source)
            unreadable = True
            continue
        if is_price_file(source):
            hint = "keep it outside of the directory and name it as SIDECAR_PRICES"
            findings.append(source.report("B2", "prices are no policy", ("kind",), hint=hint))
            continue
        policy, wrong = read(source)
        findings.extend(wrong)
        if wrong:
            lost |= source.names()
        if policy is None:
            unreadable = True
        else:
            files.append((source, policy))
    compilation = compile_files(files, ceiling, lost, counts_cost=prices is not None)
    # A file that cannot be read at all may hold every name that seems to be missing.
    findings.extend(
        found for found in compilation.findings if not (unreadable and found.code == "C1")
    )
    policies = None
    if compilation.compiled is not None and not findings:
        if prices is not None:
            digest.update(prices.digest)
        revision = f"sha256:{digest.hexdigest()}"
        policies = PolicySet(compilation.compiled, revision, urls, prices)
    return Examined(policies, compilation.units, compilation.plans, findings)
