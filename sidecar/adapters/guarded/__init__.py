"""A store that does not answer is left alone for a moment: nobody waits for it in vain."""
