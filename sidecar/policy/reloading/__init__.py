"""How do edited files become the policies in force, and what keeps wrong ones out?"""
