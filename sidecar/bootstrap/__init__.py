"""From settings to a running decision point: the one place where ports meet adapters."""
