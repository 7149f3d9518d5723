"""What the decision point needs of the world, each need under the name of its role.

`since` is a monotonic instant in seconds: when the request that waits began. An adapter gives
up, with `Unavailable`, when its own time-out has passed since then, so that all the waits of
one request together are bounded.
"""

from sidecar.ports.apps import Apps
from sidecar.ports.event_log import EventLog, Outbox
from sidecar.ports.facts import Clock, Known, Manifests, ManifestSync, Subscriptions, Wallets
from sidecar.ports.identity import Identities
from sidecar.ports.meter import Meter
from sidecar.ports.outside import Notices, Payments
from sidecar.ports.readiness import Fact
from sidecar.ports.record import Checked, DecisionLog, Decisions
from sidecar.ports.rules import Directories, Directory, Policies, Prices, Rules, Verdict
from sidecar.ports.spool import Spool, SpoolReport
from sidecar.ports.standby import Standby
from sidecar.ports.statements import Statements

__all__ = [
    "Apps",
    "Checked",
    "Clock",
    "DecisionLog",
    "Decisions",
    "Directories",
    "Directory",
    "EventLog",
    "Fact",
    "Identities",
    "Known",
    "ManifestSync",
    "Manifests",
    "Meter",
    "Notices",
    "Outbox",
    "Payments",
    "Policies",
    "Prices",
    "Rules",
    "Spool",
    "SpoolReport",
    "Standby",
    "Statements",
    "Subscriptions",
    "Verdict",
    "Wallets",
]
