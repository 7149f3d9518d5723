"""What does a server answer to generated requests, and is it what the document says?

Schemathesis makes requests that fit the document, and requests that break it in one place. Of those
that fit, some name users who were there before and reservations that live, so that limits fill up.
"""

import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException
from schemathesis import Case, GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup

from tests.fuzzing.tally import Tally

load_all_checks()

from schemathesis.specs.openapi import checks as known  # noqa: E402  # only after its checks

RUNTIME, INTERNAL, READ = "fuzz-runtime", "fuzz-internal", "fuzz-read"
_KEYS: Final = (INTERNAL,) * 5 + (RUNTIME, READ, "fuzz-nobody")
"""Most get in; the others see who keeps them out."""

_OF_USERS: Final = "/v1/me/"

_PLUGINS: Final = ("basic_search", "basic_chat", "admin_users", "code_run", "")

_CHECKS: Final = [
    known.status_code_conformance,
    known.content_type_conformance,
    known.response_headers_conformance,
    known.response_schema_conformance,
]
_TOLD_INSIDE: Final = {"POST /v1/usage", "POST /access/v1/evaluations"}
"""What is wrong with one of several is told in an answer that is not a failure."""


def ask(
    document: Mapping[str, Any], url: str, examples: int, first_seed: int, *, keyed: bool
) -> Tally:
    """Ask until there were so many requests.

    Args:
        keyed: whether the server has keys; then requests bring one.
    """
    asker = _Asker(document, url, keyed=keyed)
    rounds = 0
    while asker.tally.asked < examples:
        left = examples - asker.tally.asked
        share = left / sum(weight for *_, weight in asker.kinds)
        for operation, mode, weight in asker.kinds:
            asker.ask(operation, mode, ceil(share * weight), first_seed + rounds)
        rounds += 1
    return asker.tally


class _Asker:
    """Asks one server."""

    def __init__(self, document: Mapping[str, Any], url: str, *, keyed: bool) -> None:
        schema = schemathesis.openapi.from_dict(dict(document))
        schema.config.generation.update(with_security_parameters=False)
        self._url = url
        self._keyed = keyed
        self._session = requests.Session()
        self._token = self._users_token()
        self._ids: deque[str] = deque(maxlen=50)
        self.tally = Tally()
        self.kinds = list(_kinds(schema))

    def _users_token(self) -> str:
        """What one of the users brings who are there before."""
        key = {"X-Internal-API-Key": RUNTIME}
        url = f"{self._url}/v1/portal-tokens"
        given = self._session.post(
            url, json={"app_id": "fuzz", "user_id": "u0", "ttl_s": 3_600}, headers=key, timeout=20
        )
        return str(given.json()["token"])

    def ask(self, operation: Any, mode: GenerationMode, share: int, seeded: int) -> None:
        """Ask one thing so many times, or as often as it can be asked differently."""
        strategy = operation.as_strategy(generation_mode=mode)

        @seed(seeded)
        @settings(
            max_examples=share,
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy, luck=st.integers(0, 2**16))
        def one(case: Case[Any], luck: int) -> None:
            if mode is GenerationMode.POSITIVE:
                _make_known(case, luck, self._ids)
            self._judge(case, luck, mode)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of generators, about what they make
            try:
                one()
            except HypothesisException as error:
                self._note(f"{operation.label} ({mode.value}): {error!r}", "")

    def _judge(self, case: Case[Any], luck: int, mode: GenerationMode) -> None:
        brought = {"X-Internal-API-Key": _KEYS[luck % len(_KEYS)]} if self._keyed else {}
        if case.operation.path.startswith(_OF_USERS) and luck % len(_KEYS):
            brought = {"Authorization": f"Bearer {self._token}"}
        answer = case.call(base_url=self._url, session=self._session, headers=brought, timeout=20)
        label = case.operation.label
        self.tally.asked += 1
        self.tally.statuses[answer.status_code] += 1
        self.tally.operations[label] += 1
        if answer.status_code >= 500 and answer.status_code != 503:
            self._note(f"{label}: {answer.status_code}", case.as_curl_command())
        self._learn(answer)
        checks = list(_CHECKS)
        # Schemathesis does not count what is too large (413, 431) among the refused.
        refused = answer.status_code in (413, 431) or label in _TOLD_INSIDE
        if mode is GenerationMode.NEGATIVE and not refused:
            checks.append(known.negative_data_rejection)
        try:
            case.validate_response(answer, checks=checks)
        except FailureGroup as group:
            for failure in group.exceptions:
                self._note(f"{label}: {failure.title}: {failure.message[:300]}", str(group))

    def _learn(self, answer: Any) -> None:
        if answer.status_code == 200 and b'"reservation"' in answer.content:
            held = answer.json().get("reservation")
            if isinstance(held, dict) and "id" in held:
                self._ids.append(held["id"])

    def _note(self, what: str, request: str) -> None:
        self.tally.failures.setdefault(what, request)


def _kinds(schema: Any) -> Iterator[tuple[Any, GenerationMode, int]]:
    """What can be asked, and how much of it: bodies can be right and wrong in the most ways.

    Where only an address or a header can be written, nothing can be wrong.
    """
    for found in schema.get_all_operations():
        operation = found.ok()
        weight = 3 if operation.body else 1
        yield operation, GenerationMode.POSITIVE, weight
        if operation.body or operation.query:
            yield operation, GenerationMode.NEGATIVE, weight


def _make_known(case: Case[Any], luck: int, ids: Sequence[str]) -> None:
    """Let half of the requests be of the same few users, and of reservations that live."""
    user = f"u{luck % 3}"
    if luck & 1:
        return
    for part in (case.body, case.query, case.path_parameters):
        if isinstance(part, dict):
            names = {
                "app_id": "fuzz",
                "appId": "fuzz",
                "user_id": user,
                "userId": user,
                "currency": "USD",
                "plugin": _PLUGINS[luck % 5],
            }
            part |= {name: value for name, value in names.items() if name in part}
    if ids and "id" in (case.path_parameters or {}):
        case.path_parameters["id"] = ids[luck % len(ids)]
