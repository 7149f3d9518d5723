"""Events that wait for a control plane that is away, while servers are killed."""
