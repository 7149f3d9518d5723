"""From settings to a running decision point: the one place where ports meet adapters."""

from sidecar.sparing import without

# It is here that the server's first module imports structlog, which would import what paints
# tracebacks: ours are plain.
with without("rich"):
    import structlog  # noqa: F401  all others find it imported
