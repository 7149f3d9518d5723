"""Who else hears of a decision? Each of several logs, one after the other."""

from collections.abc import Sequence

from sidecar.ports import Checked, DecisionLog


class DecisionLogs:
    """Tells each of several decision logs."""

    def __init__(self, *logs: DecisionLog) -> None:
        self._logs: Sequence[DecisionLog] = logs

    def record(self, checked: Checked) -> None:
        """Note one decision."""
        for log in self._logs:
            log.record(checked)

    def unknown_model(self, model: str) -> None:
        """Note that something was asked of, or used with, a model that has no price."""
        for log in self._logs:
            log.unknown_model(model)
