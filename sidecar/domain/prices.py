"""What do tokens cost?"""

from sidecar.domain.request import MAX_INTEGER
from sidecar.domain.value import value

PER = 1_000_000
"""Tokens that a rate is for."""


@value
class Rates:
    """Micro-units of the currency for a million tokens, at most 10^9 each.

    The bound keeps every step of the sum below 2^53, so that all stores round alike.
    """

    input: int
    output: int

    def cost(self, tokens: int, input_tokens: int, output_tokens: int) -> int:
        """Micro-units for tokens, rounded up.

        Tokens of which it is not told whether they came in or went out (UNTOLD, or more in all
        than the parts) are counted at the dearer rate.
        """
        if not (self.input or self.output):
            return 0
        told_in, told_out = max(0, input_tokens), max(0, output_tokens)
        untold = max(0, tokens - told_in - told_out)
        parts = (
            (told_in, self.input),
            (told_out, self.output),
            (untold, max(self.input, self.output)),
        )
        whole = sum(count // PER * rate for count, rate in parts)
        rest = sum(count % PER * rate for count, rate in parts)
        return min(whole + -(-rest // PER), MAX_INTEGER)


NO_RATES = Rates(0, 0)
"""Of what has no price."""
