"""Random sequences of calls on a store against a plain model of what they should give."""
