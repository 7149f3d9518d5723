"""Policies are edited under load: no check fails, and each answer is of one whole set."""
