"""The entitlement sidecar: allow, warn or refuse before each request, and a true count after it."""

__version__ = "0.1.0"
