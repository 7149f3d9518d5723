"""The entries of what is pushed, bought, recorded and in force."""

from collections.abc import Iterable

from sidecar.api.openapi.operation import CALLERS, INTERNAL, JSON, READERS, REPORTED, Operation
from sidecar.api.openapi.questions import parameters_of
from sidecar.api.openapi.schema import ref
from sidecar.api.queries import DecisionsQuery, SubscriptionQuery


def pushing() -> Iterable[Operation]:
    """What the billing side tells, and where a user buys."""
    tag = "Subscriptions"
    yield Operation(
        "POST", "/api/internal/subscription/sync", tag, "Push a subscription",
        "Replaces the whole state of a user, in one app or in all. The same `eventId` again has "
        "no effect, and an `updatedAt` older than what is stored is ignored; both are said. Names "
        "in camelCase or snake_case; unknown ones are ignored.",
        "SubscriptionSynced", INTERNAL, body={JSON: ref("SubscriptionPush")},
    )  # fmt: skip
    yield Operation(
        "POST", "/api/internal/grants/sync", tag, "Push a grant",
        "Units beside the plan's, of a limit or of a meter. Idempotent on `grantId`; an `amount` "
        "of 0 takes back what is left.",
        "GrantSynced", INTERNAL, body={JSON: ref("GrantPush")}, others={409: "Fault"},
    )  # fmt: skip
    yield Operation(
        "POST", "/api/internal/wallet/sync", tag, "Push a balance",
        "What a user has to spend, in millionths of the price file's currency, as of an instant. "
        "What was spent or held since then is held against it; the balance itself is never "
        "changed here. The same again has no effect, and an older `asOf` is ignored; both are "
        "said. Names in camelCase or snake_case; unknown ones are ignored.",
        "WalletSynced", INTERNAL, body={JSON: ref("WalletPush")},
    )  # fmt: skip
    yield Operation(
        "POST", "/api/v1/entitlements/{app_id}/sync", tag, "Push a manifest",
        "What holds for a whole app: budgets of all its users together, limits of models and "
        "plugins, rates, features, plugins, a default plan, overrides. A push replaces the whole "
        "manifest unless its `version` is lower; a part that is not supported is refused by name.",
        "ManifestSynced", INTERNAL, body={JSON: ref("Manifest")}, others={404: "Problem"},
    )  # fmt: skip
    yield Operation(
        "GET", "/v1/subscriptions/{app_id}/{user_id:path}", tag, "What is known of a subscription",
        "The state for the app, else for all apps of the user; status `none` where nothing was "
        "ever pushed. `history=true` takes a key of the role internal or read.",
        "SubscriptionTold", READERS, others={404: "Problem"},
        parameters=parameters_of(
            SubscriptionQuery, history="Whether to tell what was pushed before, too."
        ),
    )  # fmt: skip
    yield Operation(
        "POST", "/v1/checkout", tag, "Where to buy a plan",
        "The page to send the user to.",
        "CheckoutPage", CALLERS, body={JSON: ref("Checkout")}, others={502: "PaymentsRefused"},
    )  # fmt: skip
    yield Operation(
        "POST", "/v1/checkout/cancel", tag, "Ask for a cancellation",
        "It is handed on; the subscription stays as it is until a push says otherwise.",
        "Requested", CALLERS, status=202, body={JSON: ref("Cancel")},
        others={502: "PaymentsRefused"},
    )  # fmt: skip


def recorded() -> Iterable[Operation]:
    """What was decided, and by which policies."""
    yield Operation(
        "GET", "/v1/decisions", "Records", "The latest decisions",
        "Those that were not simply allowed; allows too where files are kept of them.",
        "RecordedDecisions", REPORTED, stored=False,
        parameters=parameters_of(
            DecisionsQuery, app_id="Of one app.", user_id="Of one user.",
            effect="Of one effect.", limit="How many at most.",
        ),
    )  # fmt: skip
    yield Operation(
        "GET", "/v1/decisions/{id}", "Records", "One decision",
        "From which facts it was made, and what each rule and limit saw.",
        "RecordedDecision", REPORTED, stored=False, others={404: "Problem"},
    )  # fmt: skip
    yield Operation(
        "GET", "/v1/policies", "Policies", "What is in force",
        "Files, plans, how many rules and limits, what was refused last, and what a candidate "
        "beside them would change.",
        "PoliciesInForce", REPORTED, stored=False,
    )  # fmt: skip
    yield Operation(
        "POST", "/v1/policies/reload", "Policies", "Read the files again",
        "Where they are refused, nothing has changed. A body is not read.",
        "Reloaded", INTERNAL, stored=False, others={422: "PoliciesRejected"},
    )  # fmt: skip


def about() -> Iterable[Operation]:
    """What the server says of itself."""
    yield Operation(
        "GET", "/v1/status", "Server", "How it stands",
        "Each part, with what there is to know of it: `ok`, `off`, `degraded` (somebody should "
        "look) or `down`. Of the process that answers.",
        "ServerStatus", REPORTED, stored=False,
    )  # fmt: skip
    yield Operation(
        "GET", "/metrics", "Server", "What was counted",
        "The text format of Prometheus; of all workers in one.",
        None, media_type="text/plain; version=0.0.4; charset=utf-8", stored=False,
    )  # fmt: skip
    yield Operation(
        "GET", "/healthz", "Server", "Alive", "200 while the process answers; no store is asked.",
        "Alive", stored=False,
    )  # fmt: skip
    yield Operation(
        "GET", "/readyz", "Server", "Ready", "Whether the store answers.",
        "Ready", stored=False, others={503: "NotReady"},
    )  # fmt: skip
    yield Operation(
        "GET", "/openapi.json", "Server", "This document", "OpenAPI 3.1.", None, stored=False
    )
    yield Operation(
        "GET", "/docs", "Server", "This document, to read",
        "A page without scripts, which asks nothing of anywhere else.",
        None, media_type="text/html; charset=utf-8", stored=False,
    )  # fmt: skip
