"""From a directory of policy files to one compiled set, or to everything that is wrong with it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from sidecar.domain.modes import Ceiling
from sidecar.errors import ConfigurationError
from sidecar.policy.compiler import compile_files
from sidecar.policy.diagnostics import Diagnostic, InvalidPolicies
from sidecar.policy.format import PolicyFile
from sidecar.policy.reader import read
from sidecar.policy.snapshot import PolicySet
from sidecar.policy.source import SourceFile

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
        ConfigurationError: there is no such path, or no policy in it.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigurationError(
            f"{path}: there is no such policy directory; name one with --policies or "
            "SIDECAR_POLICIES, or leave both out for the self-hosted set"
        )
    files = sorted(
        entry
        for entry in path.iterdir()
        if entry.suffix in _SUFFIXES
        and not entry.stem.endswith("_test")
        and not entry.name.startswith(".")
        and entry.is_file()
    )
    if not files:
        raise ConfigurationError(
            f"{path}: no policy in this directory; it needs at least one file that ends in .yaml"
        )
    return files


def load(path: Path, *, ceiling: Ceiling, upgrade_url: str | None = None) -> PolicySet:
    """The compiled policies of a directory.

    Args:
        ceiling: what the operator's settings do to the modes that files state.
        upgrade_url: template with `{app_id}`, `{user_id}`, `{plan}` for remedies.

    Raises:
        InvalidPolicies: with every finding of every file.
        ConfigurationError: there is nothing to load.
    """
    digest = hashlib.sha256()
    findings: list[Diagnostic] = []
    files: list[tuple[SourceFile, PolicyFile]] = []
    for file in policy_files(path):
        content = _content(file)
        digest.update(f"{file.name}\0{len(content)}\0".encode())
        digest.update(content)
        try:
            source = SourceFile(str(file), content.decode("utf-8"))
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            findings.append(Diagnostic("A1", "this is not UTF-8", str(file), line))
            continue
        policy = read(source)
        if isinstance(policy, PolicyFile):
            files.append((source, policy))
        else:
            findings.extend(policy)
    if findings:
        raise InvalidPolicies((*findings, *_findings_of_the_rest(files, ceiling)))
    return PolicySet(compile_files(files, ceiling), f"sha256:{digest.hexdigest()}", upgrade_url)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error


def _findings_of_the_rest(
    files: Sequence[tuple[SourceFile, PolicyFile]], ceiling: Ceiling
) -> Sequence[Diagnostic]:
    """What is wrong within the files that could be read, references across files aside.

    A name that a file with mistakes may define is not called unknown.
    """
    try:
        compile_files(files, ceiling)
    except InvalidPolicies as error:
        return [found for found in error.diagnostics if found.code not in {"C1", "B2"}]
    return ()
