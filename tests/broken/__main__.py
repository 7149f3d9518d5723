"""`python -m tests.broken [--write]`: print what is said to each wrong policy, or keep it."""

import sys

from tests.broken.museum import answer, answer_of, exhibits

for exhibit in exhibits():
    text = answer(exhibit)
    if "--write" in sys.argv:
        answer_of(exhibit).write_text(text, encoding="utf-8")
    else:
        print(text)
