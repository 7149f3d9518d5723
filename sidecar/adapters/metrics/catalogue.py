"""Which metrics are there? All of them, in the order in which they are told.

No user, app, tenant, model or key is ever a label. Plans are those that the policies know; limits
and rules are told apart up to a number, and what comes after it is `_other`.
"""

from typing import Final

from sidecar.adapters.metrics.described import (
    NANO,
    Metric,
    counter,
    gauge,
    latency,
)

DECISIONS: Final = counter(
    "entitlement_decisions_total",
    "Decisions, by their effect, the mode of the plan's file, and the plan.",
    "effect", "mode", "plan",
)  # fmt: skip
REASONS: Final = counter(
    "entitlement_decision_reasons_total",
    "Reasons of decisions: what spoke against a request or for care, refusing it or not.",
    "reason", "policy", "effect", "mode",
)  # fmt: skip
WOULD_DENY: Final = counter(
    "entitlement_would_deny_total",
    "Times that a limit or a rule would have refused, had it been enforced.",
    "policy",
)
NEAR: Final = counter(
    "entitlement_limit_near_total",
    "Decisions that found a limit past its warning, with room left.",
    "limit",
)
OVER: Final = counter(
    "entitlement_limit_over_total",
    "Decisions that found too little room in a limit, enforced or not.",
    "limit",
)
DEGRADED: Final = counter(
    "entitlement_degraded_decisions_total",
    "Decisions for which a fact was missing and a failure mode spoke in its place.",
)
INDETERMINATE: Final = counter(
    "entitlement_indeterminate_decisions_total",
    "Decisions with a condition that could not be evaluated.",
)
RULE_ERRORS: Final = counter(
    "entitlement_policy_errors_total",
    "Conditions that could not be evaluated, by the limit or rule.",
    "policy",
)
DECISION_SECONDS: Final = latency(
    "entitlement_decision_duration_seconds",
    "How long a decision took, from the question as it was read to the answer.",
)
HTTP_REQUESTS: Final = counter(
    "entitlement_http_requests_total",
    "Requests that were answered, by the path as the README has it and the status.",
    "route", "status",
)  # fmt: skip
RESERVATIONS: Final = counter(
    "entitlement_reservations_total",
    "What became of reservations: held, extended, committed, released; late if committed when "
    "they had expired, expired if anything else was asked of them then.",
    "event",
)
USAGE_EVENTS: Final = counter(
    "entitlement_usage_events_total",
    "Usage events: accepted, duplicate (counted before), rejected (not as they should be), or "
    "deferred: kept while the store is away, and accepted or duplicate when they are counted.",
    "result",
)
USAGE_TOKENS: Final = counter(
    "entitlement_usage_tokens_total",
    "Tokens of usage events, accepted or duplicate, as what a summary repeats is.",
    "result",
)
UNPRICED: Final = counter(
    "entitlement_unpriced_models_total",
    "Times that something was asked of, or used with, a model that has no price.",
)
STORE_UP: Final = gauge(
    "entitlement_store_up",
    "1 if the store answered when it was asked last, of every worker.",
    together=min,
)
STORE_SECONDS: Final = latency(
    "entitlement_store_operation_duration_seconds",
    "How long the store took, failures included, by script or command.",
    "operation",
)
STORE_ERRORS: Final = counter(
    "entitlement_store_errors_total",
    "Times that the store gave no answer: in time (timeout), or none at all (error).",
    "operation", "kind",
)  # fmt: skip
BREAKER_OPEN: Final = gauge(
    "entitlement_breaker_open",
    "Workers that do not ask the store just now, because it has failed again and again.",
)
BREAKER_OPENED: Final = counter(
    "entitlement_breaker_opened_total", "Times that a worker ceased to ask the store."
)
BREAKER_SPARED: Final = counter(
    "entitlement_breaker_spared_total", "Visits to the store that were not made meanwhile."
)
STORE_LOST: Final = counter(
    "entitlement_store_data_lost_total",
    "Times that an app's counters were found gone: Redis was flushed, or lost or evicted them.",
)
SPOOL_ENTRIES: Final = gauge(
    "entitlement_spool_entries", "Reports and commits that wait for the store to be back."
)
SPOOL_BYTES: Final = gauge("entitlement_spool_bytes", "What they take on the disk.")
SPOOL_OLDEST: Final = gauge(
    "entitlement_spool_oldest_seconds",
    "How long the oldest of them has waited.",
    unit=NANO,
    together=max,
)
SPOOL_FAILING: Final = gauge(
    "entitlement_spool_failing", "Workers whose spool cannot be written just now."
)
SPOOL_REPLAYED: Final = counter(
    "entitlement_spool_replayed_total", "Of them, those that were counted later."
)
SPOOL_REFUSED: Final = counter(
    "entitlement_spool_refused_total", "Of them, those that name what is not known any more."
)
LEASES: Final = gauge(
    "entitlement_leases_active", "Leases that checks are answered out of in memory just now."
)
LEASE_ANSWERS: Final = counter(
    "entitlement_lease_answers_total", "Reservations that were made in memory, out of a lease."
)
CACHE_REQUESTS: Final = counter(
    "entitlement_cache_requests_total",
    "Look-ups of what was remembered for a moment.",
    "cache", "result",
)  # fmt: skip
CACHE_ENTRIES: Final = gauge(
    "entitlement_cache_entries", "What is remembered just now, in all workers.", "cache"
)
POLICY_INFO: Final = gauge(
    "entitlement_policy_info", "1, for the revision of the policies in force.", "digest"
)
POLICY_LOADED: Final = gauge(
    "entitlement_policy_loaded_timestamp_seconds",
    "When the policies in force were put in force.",
    unit=NANO,
    together=min,
)
POLICY_REJECTED: Final = gauge(
    "entitlement_policy_rejected",
    "1 while the directory of policies holds what was refused, and the last good set decides.",
    together=max,
)
RELOADS: Final = counter(
    "entitlement_policy_reload_total",
    "Attempts to put policies in force: loaded, unchanged or rejected.",
    "result",
)
SHADOW: Final = counter(
    "entitlement_shadow_decisions_total",
    "Decisions that were put to the candidate too: same, other effect (different), left out.",
    "result",
)
LOG_WRITTEN: Final = counter(
    "entitlement_decision_log_written_total", "Decisions that were written to the decision log."
)
LOG_DROPPED: Final = counter(
    "entitlement_decision_log_dropped_total",
    "Decisions that should be in the decision log, and are not.",
)
LOG_WAITING: Final = gauge(
    "entitlement_decision_log_waiting", "Decisions that wait for the decision log."
)
WEBHOOKS: Final = counter(
    "entitlement_webhooks_total",
    "Tries to deliver a notice: delivered, failed (it is tried again), given_up; and notices that "
    "had no room (left_out).",
    "result",
)
WEBHOOKS_WAITING: Final = gauge(
    "entitlement_webhooks_waiting", "Notices that wait for the store to take them."
)
WEBHOOKS_DISABLED: Final = gauge(
    "entitlement_webhooks_disabled",
    "1 if the receiver said that it is gone; nothing is sent until a restart.",
    together=max,
)
OUTBOX: Final = counter(
    "entitlement_outbox_total",
    "Tries to deliver an accepted event to the control plane: delivered, refused (it is set "
    "aside), failed (it is tried again).",
    "result",
)
OUTBOX_WAITING: Final = gauge(
    "entitlement_outbox_waiting",
    "Accepted events that the control plane does not have yet.",
    together=max,
)
OUTBOX_SET_ASIDE: Final = gauge(
    "entitlement_outbox_set_aside",
    "Events that the control plane refused; somebody has to look at them.",
    together=max,
)
OUTBOX_OLDEST: Final = gauge(
    "entitlement_outbox_oldest_seconds",
    "How long the first of those that wait has waited.",
    unit=NANO,
    together=max,
)
LOOP_LAG: Final = latency(
    "entitlement_event_loop_lag_seconds",
    "How much too late the event loop came to a timer, several times a second.",
)
TASK_ENDS: Final = counter(
    "entitlement_task_failures_total",
    "Times that work beside the answers was ended by a defect; it is begun again.",
    "task",
)
WORKERS: Final = gauge("entitlement_workers", "Processes that answer.")
OVERFLOW: Final = counter(
    "entitlement_metric_overflow_total",
    "Times that something was counted under _other, because too many are told apart already.",
    "label",
)
BUILD_INFO: Final = gauge("entitlement_build_info", "1, for the version.", "version", "python")
MEMORY: Final = gauge(
    "process_resident_memory_bytes",
    "Memory of all workers; what they share is in it several times.",
)
CPU: Final = counter(
    "process_cpu_seconds_total", "Processor time of all workers, dead ones too.", unit=NANO
)
FDS: Final = gauge("process_open_fds", "Open files and sockets of all workers.")
MOST_FDS: Final = gauge("process_max_fds", "How many of them a worker may have open.", together=min)
STARTED: Final = gauge(
    "process_start_time_seconds", "When the oldest worker began.", unit=NANO, together=min
)
GC_RUNS: Final = counter(
    "python_gc_collections_total", "Runs of the garbage collector.", "generation"
)
GC_COLLECTED: Final = counter(
    "python_gc_objects_collected_total", "Objects that it found.", "generation"
)
GC_UNCOLLECTABLE: Final = counter(
    "python_gc_objects_uncollectable_total", "Objects that it could not take.", "generation"
)

METRICS: Final = tuple(each for each in list(vars().values()) if isinstance(each, Metric))
