"""A museum of wrong policies: one mistake each, and beside it the exact words of the answer."""
