"""What do the tokens of a model cost?"""

from collections.abc import Mapping
from functools import lru_cache

from sidecar.domain.prices import NO_RATES, Rates
from sidecar.policy.globs import Globs, is_wild


class PriceList:
    """The rates of one price file; safe to share, because nothing changes.

    An exact name comes before every glob, a longer glob before a shorter one.

    Args:
        models: rates by exact name or glob; no two globs of a length match the same name.
        aliases: other names of models, each with a name that `models` matches.
        default: the rates of a model that the file does not know, None where those are free.
        digest: of the file's content.
    """

    def __init__(
        self,
        currency: str,
        models: Mapping[str, Rates],
        aliases: Mapping[str, str],
        default: Rates | None,
        digest: bytes,
    ) -> None:
        self._currency = currency
        self._default = default or NO_RATES
        self.digest = digest
        self.count = len(models)
        """How many names and globs have a price."""
        # Models are few; the bound is for callers who invent them.
        self._found = lru_cache(maxsize=1024)(_Lookup(models, aliases).find)

    @property
    def currency(self) -> str:
        """Three capital letters."""
        return self._currency

    @property
    def default(self) -> Rates:
        """The rates of a model that the file does not know."""
        return self._default

    def of(self, model: str) -> Rates | None:
        """The rates of a model, None if the file does not know it."""
        return self._found(model)


class _Lookup:
    """It knows nothing of who remembers what it finds; see `Concerns`."""

    def __init__(self, models: Mapping[str, Rates], aliases: Mapping[str, str]) -> None:
        self._exact = {name: rates for name, rates in models.items() if not is_wild(name)}
        self._globs = [
            (Globs([glob]), models[glob])
            for glob in sorted(filter(is_wild, models), key=len, reverse=True)
        ]
        self._aliases = dict(aliases)

    def find(self, model: str) -> Rates | None:
        name = self._aliases.get(model, model)
        exact = self._exact.get(name)
        if exact is not None:
            return exact
        return next((rates for globs, rates in self._globs if globs.match(name)), None)
