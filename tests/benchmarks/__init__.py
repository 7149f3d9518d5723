"""Benchmarks: figures that are printed side by side, never asserted."""
