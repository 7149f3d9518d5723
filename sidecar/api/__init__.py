"""HTTP in front of the decision point: bytes to values, values to bytes, nothing in between."""
