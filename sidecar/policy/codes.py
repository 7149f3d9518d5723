"""What does the code in `error[B1]` stand for?"""

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "A1": "the file is no text that can be read as YAML",
    "A2": "a key stands twice, or is no text",
    "A3": "an alias, anchor, tag, merge key or second document",
    "A4": "text that other programs read as a number, a date or true and false",
    "A5": "a character that cannot be seen, or that looks like another one",
    "A6": "an expression is written so that its columns are lost, or hard to read",
    "A7": "a file whose name does not say what it is",
    "B1": "an unknown field",
    "B2": "a field is missing or has a value of the wrong kind",
    "B3": "an apiVersion that is not known, or a field of an older format",
    "B4": "an id is misspelt, or names two things",
    "B5": "a value is out of range",
    "B6": "a date is wrong",
    "C1": "a name refers to nothing",
    "C2": "plans extend each other in a circle",
    "C3": "a variable is declared twice, or used where it cannot be had",
    "C4": "a constant or variable that nothing uses",
    "E4": "a limit that can count nothing",
    "F1": "two overrides hold for one subject at the same time, or two globs for one model",
    "G1": "an expression does not parse",
    "G2": "an expression uses an unknown name",
    "G3": "an expression has the wrong type",
    "G4": "an expression reads what may be absent",
    "G5": "an expression compares with a word that never occurs",
    "G6": "a literal of an expression is wrong",
    "H1": "an expression is too large",
    "H3": "expressions may cost too much",
    "H4": "a pattern is wrong or too long",
    "I8": "a rule that denies does not say what an error in it means",
    "J1": "a limit or rule is stricter than its file",
    "K1": "a computed message that may fail or become too long",
    "K2": "a placeholder in a message that is shown as it stands",
    "K3": "a message that shows what is nobody's business",
    "K4": "a message of several lines",
    "L1": "a limit, rule or override that no test is about",
    "L2": "a condition that tests saw turn out one way only",
    "L3": "two tests of one name",
    "L4": "a test names what there is not",
    "L5": "a test does not state what an expression reads",
    "M1": "an ignore that names no code or no reason",
    "M2": "an ignore that ignores nothing",
}

_OF_EXPRESSIONS: Mapping[str, str] = {
    "syntax": "G1",
    "macro": "G1",
    "undeclared-name": "G2",
    "undeclared-member": "G2",
    "undeclared-function": "G2",
    "no-overload": "G3",
    "not-bool": "G3",
    "wrong-result": "G3",
    "no-messages": "G3",
    "unguarded-optional": "G4",
    "outside-enum": "G5",
    "literal": "G6",
    "too-long": "H1",
    "too-deep": "H1",
    "too-large": "H1",
    "too-costly": "H3",
    "pattern": "H4",
}


def code_of(problem: str) -> str:
    """The code of a problem that the CEL compiler names by a word; a new word is of types."""
    return _OF_EXPRESSIONS.get(problem, "G3")
