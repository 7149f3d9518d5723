"""The world outside: stores, files of decisions, other services. Adapters never meet the API."""
