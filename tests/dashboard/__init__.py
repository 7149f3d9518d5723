"""How long does the page of a large app take, beside that of an empty one?"""
