"""The table of paths: what is served where, and for whose key."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sidecar.api.auth import Keys, Role
from sidecar.api.authzen import AuthZen, configuration
from sidecar.api.checkout import Checkouts
from sidecar.api.checks import Checks
from sidecar.api.dashboard.dashboard import Dashboard, Resources
from sidecar.api.decisions import Decisions
from sidecar.api.described import described, shown
from sidecar.api.endpoint import BATCH_LIMIT, Either, Endpoint, echo_request_id
from sidecar.api.entitlements import Entitlements
from sidecar.api.explain import Explain
from sidecar.api.export import Export
from sidecar.api.grants import Grants
from sidecar.api.health import Health
from sidecar.api.manifests import Manifests
from sidecar.api.metrics import Metrics
from sidecar.api.observed import Observed, Traced, paths_of
from sidecar.api.often import Often
from sidecar.api.outbox import Outbox
from sidecar.api.periods import Periods
from sidecar.api.policies import PolicyFiles
from sidecar.api.portal.own import Own, Shop
from sidecar.api.portal.page import Portal as PortalPage
from sidecar.api.portal.personal import Personal
from sidecar.api.portal.tokens import PortalTokens
from sidecar.api.problem import of_status
from sidecar.api.reports import Reports
from sidecar.api.reservations import Reservations
from sidecar.api.status import Status
from sidecar.api.subscriptions import Subscriptions
from sidecar.api.usage import Usage
from sidecar.api.wallets import Tell, Wallets
from sidecar.pdp import PDP
from sidecar.ports import (
    Apps,
    Clock,
    Directories,
    EventLog,
    Fact,
    Identities,
    Meter,
    Payments,
    Policies,
    Statements,
)
from sidecar.ports import Decisions as DecisionsPort
from sidecar.ports import Manifests as ManifestsPort
from sidecar.ports import Outbox as OutboxPort
from sidecar.ports import Subscriptions as SubscriptionsPort
from sidecar.ports import Wallets as WalletsPort
from sidecar.ports.watching import Exposition, Part, Requests, Traces, UsageWatch

_CALLERS = (Role.RUNTIME, Role.INTERNAL)
_READERS = (Role.RUNTIME, Role.INTERNAL, Role.READ)
_REPORTED = (Role.INTERNAL, Role.READ)
_INTERNAL = (Role.INTERNAL,)

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class Watching:
    """Who hears of requests, and who tells how the server is doing.

    Attributes:
        listeners: hear of each answer.
        usage: hears of events that are rejected.
        parts: each says how it stands.
        traces: None where requests are not traced.
    """

    exposition: Exposition
    listeners: Sequence[Requests]
    usage: UsageWatch
    parts: Sequence[Part]
    traces: Traces | None = None


@dataclass(frozen=True, slots=True)
class Portal:
    """What users are shown what is theirs with.

    Attributes:
        page: where their browsers reach it.
        ancestors: which pages may frame it, as `frame-ancestors` has it.
    """

    identities: Identities
    shop: Shop
    page: str
    ancestors: str


@dataclass(frozen=True, slots=True)
class Parts:
    """What the paths are answered with."""

    pdp: PDP
    subscriptions: SubscriptionsPort
    manifests: ManifestsPort
    meter: Meter
    policies: Policies
    clock: Clock
    keys: Keys
    decisions: DecisionsPort
    directories: Directories
    payments: Payments
    statements: Statements
    apps: Apps
    settle: timedelta
    watching: Watching
    events: EventLog
    outbox: OutboxPort
    wallets: WalletsPort
    portal: Portal
    facts: Sequence[Fact] = ()
    proxies: Sequence[str] = ()
    tell: Tell | None = None


def build_app(parts: Parts, lifespan: Lifespan | None = None) -> Starlette:
    """The ASGI application over a decision point."""
    pdp, meter, policies = parts.pdp, parts.meter, parts.policies
    clock, keys, anyone, watching = parts.clock, parts.keys, Keys(), parts.watching
    checks, reservations, authzen = Checks(pdp), Reservations(pdp), AuthZen(pdp)
    explaining, entitlements = Explain(pdp, clock), Entitlements(pdp)
    usage = Usage(pdp, clock, watching.usage)
    syncs = Subscriptions(parts.subscriptions, policies, clock, keys)
    manifests = Manifests(parts.manifests, policies, clock)
    health = Health(policies, meter, clock, parts.facts)
    wallets = Wallets(parts.wallets, pdp, policies, clock, parts.tell)
    grants, reports = Grants(meter, policies, clock), Reports(meter, policies, clock)
    recorded, standing = Decisions(parts.decisions), PolicyFiles(parts.directories)
    periods = Periods(parts.statements, clock, parts.settle)
    export, outbox = Export(parts.events, clock), Outbox(parts.outbox, clock)
    checkouts = Checkouts(parts.payments, policies, keys)
    portal_tokens = PortalTokens(parts.portal.identities, parts.portal.page)
    personal = Personal(parts.portal.identities, keys)
    own = Own(pdp, reports, policies, parts.portal.shop)
    portal = PortalPage(own, clock, parts.portal.ancestors)
    metrics, status = Metrics(watching.exposition), Status(watching.parts, clock)

    asked_by_pages = {
        "/v1/entitlements": entitlements.show,
        "/v1/usage/periods": periods.show,
        "/v1/decisions": recorded.list,
        "/v1/decisions/{id}": recorded.show,
        "/v1/policies": standing.show,
        "/v1/status": status.show,
    }
    dashboard = Dashboard(
        Resources(
            asked_by_pages,
            parts.apps,
            meter,
            parts.statements,
            policies,
            clock,
            keys,
            parts.proxies,
        )
    )

    def post(path: str, endpoint: Endpoint) -> Route:
        return Route(path, endpoint, methods=["POST"])

    def get(path: str, endpoint: Endpoint) -> Route:
        return Route(path, endpoint, methods=["GET"])

    def get_and_post(path: str, getting: Endpoint, posting: Endpoint) -> Route:
        # In one route, so that another method is answered with both names.
        return Route(path, Either(getting, posting), methods=["GET", "POST"])

    check = Endpoint(checks.check, keys, _CALLERS)
    several = Endpoint(checks.checks, keys, _CALLERS, body_limit=BATCH_LIMIT)
    commit = Endpoint(reservations.commit, keys, _CALLERS)
    release = Endpoint(reservations.release, keys, _CALLERS)
    report = Endpoint(usage.report, keys, _CALLERS, body_limit=BATCH_LIMIT)
    routes: list[BaseRoute] = [
        post("/v1/check", check),
        post("/v1/checks", several),
        post("/v1/explain", Endpoint(explaining.explain, keys, _READERS)),
        post("/v1/reservations/{id}/commit", commit),
        post("/v1/reservations/{id}/release", release),
        post("/v1/reservations/{id}/extend", Endpoint(reservations.extend, keys, _CALLERS)),
        get_and_post("/v1/usage", Endpoint(reports.usage, keys, _REPORTED), report),
        post("/v1/usage/summary", Endpoint(usage.summarize, keys, _CALLERS)),
        get("/v1/usage/periods", Endpoint(periods.show, keys, _REPORTED)),
        get("/v1/usage/export", Endpoint(export.show, keys, _REPORTED)),
        get("/v1/outbox", Endpoint(outbox.show, keys, _INTERNAL)),
        post("/v1/outbox/{id}/retry", Endpoint(outbox.retry, keys, _INTERNAL)),
        post("/v1/outbox/{id}/drop", Endpoint(outbox.drop, keys, _INTERNAL)),
        get("/v1/entitlements", Endpoint(entitlements.show, keys, _READERS)),
        get("/v1/subscriptions/{app_id}/{user_id:path}", Endpoint(syncs.show, keys, _READERS)),
        post("/api/internal/subscription/sync", Endpoint(syncs.sync, keys, _INTERNAL)),
        post("/api/internal/grants/sync", Endpoint(grants.sync, keys, _INTERNAL)),
        post("/api/internal/wallet/sync", Endpoint(wallets.sync, keys, _INTERNAL)),
        post("/api/v1/entitlements/{app_id}/sync", Endpoint(manifests.sync, keys, _INTERNAL)),
        post("/v1/checkout", Endpoint(checkouts.checkout, keys, _CALLERS)),
        post("/v1/checkout/cancel", Endpoint(checkouts.cancel, keys, _CALLERS)),
        post("/access/v1/evaluation", Endpoint(authzen.evaluation, keys, _CALLERS)),
        post(
            "/access/v1/evaluations",
            Endpoint(authzen.evaluations, keys, _CALLERS, body_limit=BATCH_LIMIT),
        ),
        Route("/.well-known/authzen-configuration", configuration, methods=["GET"]),
        get("/v1/decisions", Endpoint(recorded.list, keys, _REPORTED)),
        get("/v1/decisions/{id}", Endpoint(recorded.show, keys, _REPORTED)),
        get("/v1/policies", Endpoint(standing.show, keys, _REPORTED)),
        post("/v1/policies/reload", Endpoint(standing.reload, keys, _INTERNAL)),
        get("/v1/status", Endpoint(status.show, keys, _REPORTED)),
        post("/v1/portal-tokens", Endpoint(portal_tokens.issue, keys, _CALLERS)),
        get("/v1/me/entitlements", Endpoint(personal(own.entitlements), anyone, ())),
        get("/v1/me/usage", Endpoint(personal(own.usage), anyone, ())),
        get("/portal", Endpoint(portal.page, anyone, ())),
        get("/portal/view", Endpoint(personal(portal.view), anyone, ())),
        get("/portal/{file}", Endpoint(portal.file, anyone, ())),
        get("/metrics", Endpoint(metrics.show, anyone, ())),
        get("/healthz", Endpoint(health.alive, anyone, ())),
        get("/readyz", Endpoint(health.ready, anyone, ())),
        get("/openapi.json", Endpoint(described, anyone, ())),
        get("/docs", Endpoint(shown, anyone, ())),
        # Pages for people: one application for them all.
        Route("/dashboard", dashboard, methods=["GET"]),
        Route("/dashboard/{page:path}", dashboard, methods=["GET", "POST"]),
    ]
    often = Often(
        {"/v1/check": check, "/v1/checks": several, "/v1/usage": report},
        {"commit": commit, "release": release},
    )
    app = Starlette(routes=routes, lifespan=lifespan)
    # A redirect would lead to whatever host the request named.
    app.router.redirect_slashes = False
    # Starlette's own would stand around each answer, for defects that are answered here.
    table = ExceptionMiddleware(app.router, {HTTPException: _http_problem})
    observed = Observed(table, often, paths_of(routes), watching.listeners)
    traces = watching.traces
    app.middleware_stack = observed if traces is None else Traced(observed, traces)
    return app


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # registered for nothing else
    return _echoed(request, of_status(error.status_code, error.headers))


def _echoed(request: Request, response: Response) -> Response:
    echo_request_id(dict(request.scope["headers"]), response)
    return response
