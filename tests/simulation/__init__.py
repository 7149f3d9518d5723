"""Is a simulation's answer the one that a recount gives, and how much does it take?"""
