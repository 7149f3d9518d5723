"""What stands in the log of what callers sent?"""

import pytest
import structlog

from sidecar.logs import configure_logging


def test_no_caller_colours_the_terminal_of_whoever_reads_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("console")
    structlog.get_logger("test").warning("told", user_id="\x1b[31mann\u202e", app_id="café")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert "user_id=\\x1b[31mann\\u202e" in line
    assert "app_id=café" in line
