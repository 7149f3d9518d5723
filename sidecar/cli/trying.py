"""What does each line do that is typed at `sidecar repl`?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sidecar.cel import CelError
from sidecar.cel.shown import shown
from sidecar.cli.explained import limit_lines, print_explanation, print_lines, rule_lines
from sidecar.cli.sample import read_sample, sample_of, with_member
from sidecar.domain.explanation import Evaluated, ExplainedLimit, ExplainedRule, Step, plain
from sidecar.errors import ConfigurationError
from sidecar.policy.conditions import Condition
from sidecar.policy.diagnostics import did_you_mean
from sidecar.policy.session import Session, Wrong

HELP = """\
EXPRESSION              its value and type, and the value of each of its parts
:let NAME = EXPRESSION  declare vars.NAME, as a file's variables
:set PATH = EXPRESSION  change the sample: request.model, subscription.status,
                        request.attributes.region, limits["daily"].used, now
:context                the sample, as expressions see it
:type EXPRESSION        its type and worst-case cost, without evaluating it
:exec ID                what a rule or a limit says of the sample
:explain                the whole decision on the sample
:in FILE                see the constants and variables of another file
:load PATH              other policies, or a sample: the JSON body of POST /v1/explain
:quit"""
_LEAVING = ("exit", "quit", "exit()", "quit()")
_WIDE = 2_000
_ROOTS = ("request", "subscription", "plan", "limits", "now", "constants")


class Trying:
    """What was loaded and set so far, and what each line does."""

    def __init__(
        self, session: Session, load: Callable[[Path], Session], body: dict[str, Any]
    ) -> None:
        self._session = session
        self._load_policies = load
        self._body = body
        self._session.sample = sample_of(body)
        self._commands: dict[str, Callable[[str], None]] = {
            ":context": self._context,
            ":exec": self._exec,
            ":explain": self._explain,
            ":help": lambda _: click.echo(HELP),
            ":in": self._in,
            ":let": self._let,
            ":load": self._load,
            ":set": self._set,
            ":type": self._type,
        }

    def take(self, line: str) -> bool:
        """Do what a line says; whether to go on."""
        word, _, rest = line.partition(" ")
        if word in (":quit", ":q"):
            return False
        try:
            if word in _LEAVING and not rest:
                click.echo("error: type :quit to leave, or Ctrl-D")
            elif word in self._commands:
                self._commands[word](rest.strip())
            elif word.startswith(":"):
                near = did_you_mean(word, [*self._commands, ":quit"])
                click.echo(f"error: no command {word}{_hint(near)}")
            elif line and not line.startswith("#"):
                self._evaluate(line)
        except ConfigurationError as error:
            click.echo(f"error: {error}")
        return True

    def _evaluate(self, text: str) -> None:
        condition = self._compiled(text)
        if condition is None:
            return
        *variables, told = self._session.evaluate(condition)
        value = f"fails: {told.value}" if told.failed else told.value
        click.echo(f"{value}   {_kind(condition)}")
        parts: dict[str, Evaluated | Step] = {each.name: each for each in variables}
        for step in told.steps:
            if step.text != told.text and step.text not in parts:
                parts[step.text] = step
        for name, part in parts.items():
            sign = "fails:" if part.failed else "="
            click.echo(f"  {name} {sign} {part.value}")

    def _type(self, text: str) -> None:
        condition = self._compiled(text)
        if condition is not None:
            click.echo(_kind(condition))

    def _let(self, rest: str) -> None:
        name, text = _sides(rest, ":let NAME = EXPRESSION")
        condition = self._compiled(text)
        if condition is None:
            return
        try:
            self._session.declare(name, condition)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        click.echo(f"vars.{name}: {_kind(condition)}")

    def _set(self, rest: str) -> None:
        path, text = _sides(rest, ":set PATH = EXPRESSION")
        condition = self._compiled(text)
        if condition is None:
            return
        value = self._session.value(condition)
        if isinstance(value, CelError):
            raise ConfigurationError(f"the expression fails: {value.message}")
        plan = self._session.explain().plan.plan or ""
        body = with_member(self._body, path, value, plan)
        sample = sample_of(body)
        known = [limit.id for limit in self._session.explain().limits]
        unknown = set(sample.told.names).difference(known)
        if unknown and path.startswith("limits"):
            name = min(unknown)
            raise ConfigurationError(f"no limit {name!r}{_hint(did_you_mean(name, known))}")
        self._session.sample, self._body = sample, body

    def _context(self, _: str) -> None:
        click.echo(f"file = {self._session.file}")
        for name in (*_ROOTS, *(f"vars.{name}" for name in self._session.variables)):
            condition = self._session.compile(name)
            assert isinstance(condition, Condition)  # all of these are declared
            click.echo(f"{name} = {shown(self._session.value(condition), _WIDE)}")

    def _exec(self, name: str) -> None:
        rule = self._session.rule(name)
        if rule is not None:
            print_lines(rule_lines([_members(rule)]))
            return
        explanation = self._session.explain()
        limits = {limit.id: limit for limit in explanation.limits}
        if name in limits:
            print_lines(limit_lines(_members(limits[name]), explanation.at))
            return
        known = {*limits, *(rule.id for rule in explanation.rules)}
        click.echo(f"error: no rule or limit {name!r}{_hint(did_you_mean(name, known))}")

    def _explain(self, _: str) -> None:
        explanation = self._session.explain()
        click.echo(f"{explanation.effect.upper()}  plan {explanation.plan.plan or '(none)'}")
        print_explanation(explanation.as_plain())

    def _in(self, file: str) -> None:
        names = {Path(each).name: each for each in self._session.files}
        found = names.get(file, file)
        if found not in self._session.files:
            click.echo(f"error: no file {file!r}{_hint(did_you_mean(file, names))}")
            return
        self._session.enter(found)

    def _load(self, rest: str) -> None:
        path = Path(rest)
        if path.suffix == ".json" and path.is_file():
            body = read_sample(path)
            self._session.sample, self._body = sample_of(body), body
            return
        self._session = self._load_policies(path)
        self._session.sample = sample_of(self._body)

    def _compiled(self, text: str) -> Condition | None:
        """An expression; what is wrong with it is told."""
        compiled = self._session.compile(text)
        if isinstance(compiled, Condition):
            return compiled
        for wrong in compiled:
            click.echo(_pointed(text, wrong))
        return None


def _pointed(text: str, wrong: Wrong) -> str:
    """A mistake under the line, as files have theirs."""
    caret = "^" * max(1, min(wrong.end, len(text)) - wrong.start)
    return (
        f"error: {wrong.message}{_hint(wrong.hint)}\n   | {text}\n   | {' ' * wrong.start}{caret}"
    )


def _hint(hint: str) -> str:
    return f" ({hint})" if hint else ""


def _kind(condition: Condition) -> str:
    return f"{condition.program.result}, cost {condition.program.cost:,}"


def _sides(rest: str, usage: str) -> tuple[str, str]:
    name, equals, text = rest.partition("=")
    if not equals or not name.strip() or not text.strip() or text.startswith("="):
        raise ConfigurationError(f"write {usage}")
    return name.strip(), text.strip()


def _members(part: ExplainedRule | ExplainedLimit) -> dict[str, Any]:
    told = plain(part)
    assert isinstance(told, dict)  # as any dataclass
    return told
