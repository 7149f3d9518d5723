"""What the store cannot take stands in local files until it can."""
