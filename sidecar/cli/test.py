"""`sidecar test`: do the tests beside the policies hold, and what do they cover?"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import click

from sidecar.bootstrap.prices import prices_named_by
from sidecar.cli.findings import EXIT_INVALID, tell
from sidecar.cli.options import format_options, prices_option
from sidecar.cli.printing import print_json
from sidecar.cli.tested import tell_coverage, tell_results
from sidecar.errors import ConfigurationError
from sidecar.policy.testing import Report, run_tests
from sidecar.policy.testing.rendering import as_json, as_junit
from sidecar.settings import read_settings

EXIT_FAILED = 4


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@format_options("text", "json", "junit", help="For a person, a program or a build server.")
@click.option("--coverage", is_flag=True, help="Show what no test has seen at work.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="GLOB",
    help="Only tests whose name, or file and name, match; * is any run of characters.",
)
@click.option("--if-any", is_flag=True, help="There need be no tests.")
@prices_option
@click.pass_context
def test(
    context: click.Context,
    path: Path,
    form: str,
    coverage: bool,
    filters: tuple[str, ...],
    if_any: bool,
    prices: Path | None,
) -> None:
    """Run the tests of the policies in PATH: the files that end in _test.yaml.

    PATH is a directory of policies, or one test file. Exits 4 if a test fails, 3 if policies or
    tests do not load.
    """
    settings = read_settings(sidecar_prices=prices)
    report = run_tests(path, prices=prices_named_by(settings), wanted=_wanted(filters))
    if not (report.findings or if_any):
        _refuse_nothing(path, report, filters)
    match form:
        case "json":
            print_json(as_json(report))
        case "junit":
            click.echo(as_junit(report))
        case _:
            if report.findings:
                tell(report.findings, form, otherwise="")
            else:
                tell_results(report)
                if coverage:
                    tell_coverage(report.coverage)
    if report.findings:
        context.exit(EXIT_INVALID)
    context.exit(0 if report.is_good else EXIT_FAILED)


def _refuse_nothing(path: Path, report: Report, filters: tuple[str, ...]) -> None:
    if not report.files:
        raise ConfigurationError(f"{path}: no test here: a test file ends in _test.yaml")
    if not report.results:
        raise ConfigurationError(f"{path}: no test matches --filter {' '.join(filters)}")


def _wanted(filters: tuple[str, ...]) -> Callable[[str, str], bool]:
    def wanted(file: str, name: str) -> bool:
        # Without what tells the cases of one test apart, it is the name in the file.
        written = name.partition(" › ")[0]
        names = (name, written, f"{Path(file).name} › {name}", f"{Path(file).name} › {written}")
        return not filters or any(fnmatchcase(it, glob) for it in names for glob in filters)

    return wanted
