"""What this process knows by itself while the store is away."""
