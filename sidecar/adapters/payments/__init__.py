"""Who takes the money: nobody (mock), or the platform's gateway (managed)."""
