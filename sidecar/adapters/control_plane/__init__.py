"""Accepted events on their way to the control plane."""
