"""Many processes over one store, and an exact log that says whether the counters were right."""
