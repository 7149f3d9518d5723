"""Who hears of each visit to the store? Each of several, one after the other; or nobody."""

from sidecar.ports.watching import StoreWatch


class StoreWatches:
    """Tells each of any number."""

    def __init__(self, *watches: StoreWatch) -> None:
        self._watches = watches

    def asked(self, operation: str, began_s: float) -> None:
        """Note one that is answered just now."""
        for watch in self._watches:
            watch.asked(operation, began_s)

    def failed(self, operation: str, began_s: float, fault: str, *, is_late: bool) -> None:
        """Note one that came to nothing just now."""
        for watch in self._watches:
            watch.failed(operation, began_s, fault, is_late=is_late)
