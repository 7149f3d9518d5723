"""Traces of a real server, as a real collector has them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.observing.collector import Collector, Span, collector
from tests.processes import Sidecar, await_that, clean_environment, redis_server

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
CAME_WITH = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "runtime=kept"}
CHECK = {
    "app_id": "a", "user_id": "u", "plugin": "basic_search", "model": "gpt-4o",
    "agent": "planner", "session_id": "chat_9", "estimated_tokens": 100, "reserve": True,
}  # fmt: skip
SERVER = 2


@pytest.fixture
def collecting() -> Iterator[Collector]:
    with collector() as found:
        yield found


def environment(collecting: Collector, **more: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collecting.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        # A busy machine is no store that is away.
        "SIDECAR_STORE_TIMEOUT_MS": "5000",
        **more,
    }


@pytest.fixture
def sidecar(tmp_path: Path, collecting: Collector) -> Iterator[Sidecar]:
    with (
        redis_server(tmp_path) as redis,
        Sidecar(
            store=redis.url,
            cwd=tmp_path,
            env=environment(collecting, OTEL_SERVICE_NAME="quotas"),
            arguments=("--log-format", "json"),
        ) as server,
    ):
        yield server


def one(collecting: Collector, name: str) -> Span:
    await_that(lambda: bool(collecting.named(name)), f"a span {name} has come")
    (span,) = collecting.named(name)
    return span


def test_a_check_is_a_span_of_its_callers_trace_with_its_decision(
    sidecar: Sidecar, collecting: Collector
) -> None:
    answer = sidecar.client.post("/v1/check", json=CHECK, headers=CAME_WITH).json()
    span = one(collecting, "POST /v1/check")

    assert (span.trace_id, span.parent_id, span.trace_state) == (TRACE, PARENT, "runtime=kept")
    assert (span.kind, span.service, span.is_error) == (SERVER, "quotas", False)
    told = {
        "http.request.method": "POST",
        "http.route": "/v1/check",
        "http.response.status_code": 200,
        "url.path": "/v1/check",
        "entitlement.effect": "allow",
        "entitlement.decision.id": answer["decision_id"],
        "entitlement.plan": "free",
        "entitlement.reservation.id": answer["reservation"]["id"],
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.conversation.id": "chat_9",
    }
    assert told.items() <= span.attributes.items()
    ((event, evaluated),) = span.events
    assert event == "feature_flag.evaluation"
    assert evaluated["feature_flag.key"] == "basic_search"
    assert evaluated["feature_flag.result.value"] == "allow"
    assert evaluated["feature_flag.result.reason"] == "default"
    assert evaluated["feature_flag.version"] == answer["policy"]["revision"]


def test_the_policies_and_the_store_are_spans_below_it(
    sidecar: Sidecar, collecting: Collector
) -> None:
    sidecar.client.post("/v1/check", json=CHECK, headers=CAME_WITH)
    request = one(collecting, "POST /v1/check")
    below = collecting.below(request)
    visit = one(collecting, "redis reserve.lua")

    assert {"policy resolve", "policy decide", "redis reserve.lua"} <= set(below)
    assert below.index("policy resolve") < below.index("redis reserve.lua")
    assert visit.attributes["db.system.name"] == "redis"
    assert visit.attributes["db.operation.name"] == "reserve.lua"
    assert {span.trace_id for span in collecting.spans} == {TRACE}
    assert 0 < visit.took_ns < request.took_ns


def test_a_refusal_is_no_error_and_says_why_and_its_line_bears_the_trace(
    sidecar: Sidecar, collecting: Collector
) -> None:
    refused = CHECK | {"plugin": "pro_tool"}
    answer = sidecar.client.post(
        "/v1/check", json=refused, headers=CAME_WITH | {"X-Request-ID": "r-7"}
    )
    span = one(collecting, "POST /v1/check")
    sidecar.wait_for_error('"event": "decision"')
    (line,) = (
        json.loads(each) for each in sidecar.errors().splitlines() if '"event": "decision"' in each
    )

    assert answer.status_code == 402
    assert span.is_error is False
    assert span.attributes["entitlement.effect"] == "deny"
    assert span.attributes["entitlement.reasons"] == ["free.plugins"]
    assert (line["trace_id"], line["span_id"]) == (TRACE, span.span_id)
    assert (line["request_id"], line["decision_id"]) == ("r-7", answer.json()["decision_id"])


def test_each_decision_of_a_batch_is_an_event_and_the_span_bears_the_most_severe(
    sidecar: Sidecar, collecting: Collector
) -> None:
    refused = CHECK | {"plugin": "pro_tool"}
    checks = {"checks": [CHECK, refused, CHECK]}
    sidecar.client.post("/v1/checks", json=checks, headers=CAME_WITH)
    span = one(collecting, "POST /v1/checks")

    effects = [told["feature_flag.result.value"] for _, told in span.events]
    assert sorted(effects) == ["allow", "allow", "deny"]
    assert span.attributes["entitlement.effect"] == "deny"


def test_a_caller_that_was_not_sampled_leaves_no_span(
    sidecar: Sidecar, collecting: Collector
) -> None:
    unsampled = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
    for _ in range(5):
        sidecar.client.post("/v1/check", json=CHECK, headers=unsampled)
    sidecar.client.post("/v1/checks", json={"checks": [CHECK]}, headers=CAME_WITH)
    one(collecting, "POST /v1/checks")

    assert collecting.named("POST /v1/check") == []


def test_what_waits_is_sent_when_the_server_ends(tmp_path: Path, collecting: Collector) -> None:
    never = environment(collecting, OTEL_BSP_SCHEDULE_DELAY="600000", SIDECAR_DRAIN_S="0")
    with Sidecar(store="sqlite://", cwd=tmp_path, env=never) as server:
        server.client.post("/v1/check", json=CHECK)
        server.client.get("/healthz")
        assert server.stop() == 0

    names = {span.name for span in collecting.spans}
    assert {"POST /v1/check", "sqlite transaction", "GET /healthz"} <= names
    assert {span.service for span in collecting.spans} == {"mozaiks-sidecar"}


def test_a_collector_that_is_not_there_holds_nobody_up(tmp_path: Path) -> None:
    nobody = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with Sidecar(store="sqlite://", cwd=tmp_path, env=nobody) as server:
        statuses = {server.client.post("/v1/check", json=CHECK).status_code for _ in range(10)}
        assert statuses == {200}
        assert server.stop() == 0


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
    ],
)
def test_nothing_of_it_is_imported_unless_it_is_asked_for(env: dict[str, str]) -> None:
    program = (
        "import sys\n"
        "from sidecar.bootstrap.server import create_app\n"
        "from sidecar.settings import read_settings\n"
        "create_app(read_settings(sidecar_store='sqlite://'))\n"
        # redis-py imports what there is of it for itself.
        "ours = ('sidecar.adapters.tracing', 'opentelemetry.exporter')\n"
        "print([name for name in sys.modules if name.startswith(ours)])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment() | env, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
            "the OTEL_ variables ask for traces, and opentelemetry is not installed: "
            "pip install 'mozaiks-sidecar[otel]', or set OTEL_SDK_DISABLED=true\n",
        ),
        ({"OTEL_TRACES_EXPORTER": "jaeger"}, "OTEL_TRACES_EXPORTER: Input should be 'otlp'"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL: Input should be"),
    ],
)
def test_what_cannot_be_traced_is_said_at_the_start(env: dict[str, str], message: str) -> None:
    program = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'opentelemetry':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from sidecar.cli import main\n"
        "sys.argv = ['sidecar', 'serve', '--store', 'sqlite://', '--port', '0']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment() | env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith(message)
