"""What does the YAML parser mean, in the words of someone who edits the file?"""

import re

UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""A character that no YAML file has."""

_CLOSE = "write the missing comma or bracket; text that has , [ ] { } in it stands in quotes"
_SYNTAX = (
    ("did not find expected alphabetic or numeric", "a * or & that is no text by itself",
     'put it in quotes: "*"'),
    ("mapping values are not allowed", "a second colon in one line",
     "put a value that has ': ' in it in quotes"),
    ("could not find expected ':'", "a key without its colon",
     "write a colon and a space after it"),
    ("did not find expected key", "this line does not fit what is above it",
     "check its indentation, and quotes and brackets above it"),
    ("did not find expected '-' indicator", "this line does not fit the list above it",
     "indent it as the items are, and begin it with '- '"),
    ("did not find expected ',' or ']'", "a [ is not closed", _CLOSE),
    ("did not find expected ',' or '}'", "a { is not closed", _CLOSE),
    ("did not find expected node content", "a value is missing here",
     "close the [ or { above it"),
    ("found unexpected end of stream", "a quote is not closed", "write the missing quote"),
    ("found unknown escape character", "an unknown escape",
     "use single quotes, in which a backslash is a backslash"),
    ("invalid Unicode character escape", "an escape that is no character",
     "write the character itself"),
)  # fmt: skip
"""What the parser says, what a person would say, and what to do."""


def in_plain_words(problem: str, line: str, column: int) -> tuple[str, str]:
    """What is wrong, and what to do.

    Args:
        problem: the parser's sentence.
        line: where it stopped, at a column from 0.
    """
    rest = line[column:]
    second = re.match(r"\s*(?:- )?([\w-]+): +([^\s\"'{\[][^\"]*: [^\"]*?)\s*$", line)
    if "mapping values are not allowed" in problem and second and len(second[2]) <= 60:
        return "a second colon in one line", f'write {second[1]}: "{second[2]}"'
    unspaced = re.match(r"\s*(?:- )?([\w-]+):([\w.-]+)\s*$", line)
    if "could not find expected ':'" in problem and unspaced:
        return "a key without a space behind its colon", f"write {unspaced[1]}: {unspaced[2]}"
    if rest.startswith("\t"):
        return "a tab begins the line", "indent with spaces"
    if rest.startswith(("@", "`", "%")):
        return f"a value cannot begin with {rest[0]}", "put it in quotes"
    for said, plainer, repair in _SYNTAX:
        if said in problem:
            return plainer, repair
    return problem, ""


def began_earlier(problem: str) -> bool:
    """Whether the parser noticed only later what went wrong where the text in hand began."""
    return "unexpected end of stream" in problem or "could not find expected ':'" in problem
