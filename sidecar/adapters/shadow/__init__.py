"""What would another set of policies have decided? Asked beside the answers, never before one."""
