"""What does a code mean, what is to be avoided, and what is better?"""

from importlib import resources

from sidecar.policy.codes import CODES


def page_of(code: str) -> str:
    """The page of a code, as Markdown.

    Raises:
        KeyError: there is no such code.
    """
    if code not in CODES:
        raise KeyError(code)
    return (resources.files(__name__) / f"{code}.md").read_text(encoding="utf-8")
