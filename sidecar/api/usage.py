"""`POST /v1/usage`, `POST /v1/usage/summary`: what was really used, after the fact."""

from collections.abc import Callable, Sequence

from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.cloudevents import (
    envelope_of,
    event_of,
    is_batch,
    is_cloud_event,
    is_summary,
)
from sidecar.api.endpoint import Call
from sidecar.api.faults import FieldFault, InvalidBody, fault_of, misfit
from sidecar.api.usage_schemas import (
    MAX_EVENTS,
    USAGE_EVENT,
    USAGE_SUMMARY,
    UsageEventBody,
    UsageSummaryBody,
)
from sidecar.domain.usage import UsageEvent, app_of
from sidecar.pdp import PDP
from sidecar.ports import Clock
from sidecar.ports.watching import UsageWatch

_EXPLAINED = 20
"""Rejected events of one body whose faults are named; of the others it is told how many."""


class Usage:
    """Counts events, each once; a wrong one is rejected by its index and stops no other."""

    def __init__(self, pdp: PDP, clock: Clock, watch: UsageWatch) -> None:
        self._pdp = pdp
        self._clock = clock
        self._watch = watch

    async def report(self, call: Call) -> Response:
        """One event, an array of them, `{"events": [...]}`, or CloudEvents."""
        body = call.json()
        if is_cloud_event(call.headers):
            return await self._report_cloud_events(call, body)
        match body:
            case {"events": list() as items, **rest} if not rest:
                pass
            case list() as items:
                pass
            case dict():
                return await self._report_one(body, self._read)
            case _:
                fault = "expected an event, an array of events or an object with events"
                raise InvalidBody([FieldFault("body", fault)])
        return await self._report_several(items, self._read)

    async def summarize(self, call: Call) -> Response:
        """What a session came to so far."""
        return await self._report_one(call.json(), self._summary)

    async def _report_cloud_events(self, call: Call, body: object) -> Response:
        envelope = envelope_of(call.headers, body)
        if not is_batch(call.headers):
            return await self._report_one(envelope, self._carried)
        if not isinstance(envelope, list):
            raise InvalidBody([FieldFault("body", "a batch of CloudEvents is an array")])
        return await self._report_several(envelope, self._carried)

    async def _report_several(
        self, items: Sequence[object], read: Callable[[object, int], UsageEvent]
    ) -> Response:
        if len(items) > MAX_EVENTS:
            raise InvalidBody([FieldFault("events", f"more than {MAX_EVENTS} events")])
        events: list[UsageEvent] = []
        rejected: list[dict[str, object]] = []
        for index, item in enumerate(items):
            try:
                events.append(read(item, 3 if len(rejected) < _EXPLAINED else 0))
            except InvalidBody as error:
                rejected.append({"index": index, "error": str(error)})
        self._watch.rejected(len(rejected))
        return await self._record(events, rejected)

    async def _report_one(self, item: object, read: Callable[[object], UsageEvent]) -> Response:
        try:
            event = read(item)
        except InvalidBody:
            self._watch.rejected(1)
            raise
        return await self._record([event], [])

    async def _record(
        self, events: list[UsageEvent], rejected: list[dict[str, object]]
    ) -> Response:
        tally = await self._pdp.record(events)
        answer = {
            "accepted": tally.accepted, "duplicates": tally.duplicates, "rejected": rejected,
        }  # fmt: skip
        if tally.degraded:
            answer["degraded"] = True
        return json_response(answer, 202)

    def _carried(self, envelope: object, faults_told: int = 10) -> UsageEvent:
        """What a CloudEvent carries."""
        event = event_of(envelope)
        if is_summary(envelope):
            return self._summary(event, faults_told)
        return self._read(event, faults_told)

    def _summary(self, item: object, faults_told: int = 10) -> UsageEvent:
        return self._event(USAGE_SUMMARY, item, faults_told)

    def _read(self, item: object, faults_told: int = 10) -> UsageEvent:
        event = self._event(USAGE_EVENT, item, faults_told)
        if event.reservation_id and app_of(event.reservation_id) != event.request.subject.app_id:
            raise InvalidBody([FieldFault("reservation_id", "not a reservation of this app")])
        return event

    def _event(
        self,
        body: TypeAdapter[UsageEventBody] | TypeAdapter[UsageSummaryBody],
        item: object,
        faults_told: int = 10,
    ) -> UsageEvent:
        try:
            return body.validate_python(item).event(self._clock.now())
        except ValidationError as error:
            fault = fault_of(error, faults_told)
            assert isinstance(fault, InvalidBody)  # it was JSON already
            raise fault from None
        except ValueError as error:
            raise misfit(error) from None
