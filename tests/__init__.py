"""Tests, each of them a sentence."""
