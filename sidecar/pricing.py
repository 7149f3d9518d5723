"""What do units cost, and which of a summary's counters take them?"""

from dataclasses import replace

from sidecar.domain.limits import takes_summaries
from sidecar.domain.prices import NO_RATES, Rates
from sidecar.domain.request import Amounts, CheckRequest
from sidecar.domain.usage import ChargedEvent, EventKind, UsageEvent
from sidecar.ports import DecisionLog, Rules


class Pricing:
    """Prices by the rules of the moment; a model without a price is told to the log."""

    def __init__(self, log: DecisionLog) -> None:
        self._log = log

    def rates(self, rules: Rules, model: str) -> Rates:
        """What a model's tokens cost under these rules."""
        if rules.prices is None:
            return NO_RATES
        rates = rules.prices.of(model)
        if rates is None:
            self._log.unknown_model(model)
            return rules.prices.default
        return rates

    def event(self, rules: Rules, event: UsageEvent) -> UsageEvent:
        """An event with what its units cost."""
        if event.kind is EventKind.SUMMARY:
            # What it adds is priced where it is known.
            return event
        request = with_cost(event.request, event.used, self.rates(rules, event.request.model))
        return replace(event, used=request.estimate, request=request)


def summed_up(rules: Rules, charged: ChargedEvent) -> ChargedEvent:
    """A summary with the counters that it goes into: it tells of no model, agent or plugin."""
    charges = tuple(each for each in charged.charges if takes_summaries(each.counter))
    rates = NO_RATES if rules.prices is None else rules.prices.default
    return replace(charged, charges=charges, rates=rates)


def with_cost(request: CheckRequest, estimate: Amounts, rates: Rates) -> CheckRequest:
    """The request with an estimate that says what it costs."""
    if rates is NO_RATES and estimate is request.estimate:
        return request
    return replace(request, estimate=priced(estimate, rates))


def priced(amounts: Amounts, rates: Rates) -> Amounts:
    """The same units with what they cost."""
    if rates is NO_RATES:
        return amounts
    cost = rates.cost(amounts.tokens, amounts.input_tokens, amounts.output_tokens)
    return replace(amounts, cost=cost)
