"""What does the document look like to a person? One page, without scripts.

Viewers of others are a megabyte of script that wants styles and workers of its own making, and
some look for fonts elsewhere. Whoever only wants to read is served without any of it, and the
page may forbid all that a page can do.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from html import escape
from typing import Any, Final

from sidecar.api.openapi import document
from sidecar.api.openapi.schema import Schema

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --mark: #2a6fdb; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
nav ul { columns: 2 22rem; list-style: none; padding: 0; }
h2 { border-bottom: 1px solid var(--line); margin-top: 3rem; }
h3 { margin: 2.5rem 0 0; }
code, pre { font: 0.875em/1.45 ui-monospace, monospace; }
pre { border: 1px solid var(--line); border-radius: 6px; overflow-x: auto; padding: 0.75rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: 0.25rem 0.75rem 0.25rem 0; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
a { color: var(--mark); }
.method { border: 1px solid; border-radius: 4px; color: var(--mark); padding: 0 0.4em; }
.quiet { opacity: 0.75; }
summary { cursor: pointer; }
"""
_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""What a browser may do for the page: apply its style."""


@cache
def page() -> bytes:
    """The page as it is served."""
    told = document()
    title = escape(f"{told['info']['title']} {told['info']['version']}")
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>",
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<style>{_STYLE}</style><h1>{title}</h1>",
        *_paragraphs(told["info"]["description"]),
        "<p>For programs: <a href=/openapi.json>openapi.json</a>.</p>",
    ]
    entries = [
        (path, method, entry)
        for path, methods in told["paths"].items()
        for method, entry in methods.items()
    ]
    parts += ["<nav><ul>", *(_pointer(*each) for each in entries), "</ul></nav>"]
    for tag in (each["name"] for each in told["tags"]):
        parts.append(f"<h2>{escape(tag)}</h2>")
        for path, method, entry in entries:
            if tag in entry["tags"]:
                parts += _operation(path, method, entry)
    parts.append("<h2>Shapes</h2>")
    for name, schema in told["components"]["schemas"].items():
        parts += _component(name, schema)
    return "\n".join(parts).encode()


def _pointer(path: str, method: str, entry: Schema) -> str:
    where = f"#{escape(entry['operationId'])}"
    return f"<li><a href={where}><code>{method.upper()} {escape(path)}</code></a></li>"


def _operation(path: str, method: str, entry: Schema) -> Iterator[str]:
    yield f"<h3 id={escape(entry['operationId'])}>{escape(entry['summary'])}</h3>"
    yield f"<p><code><span class=method>{method.upper()}</span> {escape(path)}</code></p>"
    yield from _paragraphs(entry["description"])
    named = [each for each in entry["parameters"] if "name" in each]
    if named:
        rows = (
            (each["name"], _kind(each["schema"]), each["in"], each.get("description", ""))
            for each in named
        )
        yield _table(("Parameter", "", "in", ""), rows)
    for media_type, content in entry.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body, <code>{escape(media_type)}</code>: {_kind(content['schema'])}</p>"
        yield from _examples(content)
    for status, response in entry["responses"].items():
        ((_, content),) = response["content"].items()
        words = escape(response["description"])
        yield f"<p><b>{status}</b> {_kind(content['schema'])} <span class=quiet>{words}</span></p>"
        yield from _examples(content)


def _examples(content: Schema) -> Iterator[str]:
    for each in content.get("examples", {}).values():
        value = escape(json.dumps(each["value"], indent=2, ensure_ascii=False))
        yield f"<details><summary>{escape(each['summary'])}</summary><pre>{value}</pre></details>"


def _component(name: str, schema: Schema) -> Iterator[str]:
    yield f"<h3 id=shape-{escape(name)}>{escape(name)}</h3>"
    yield from _paragraphs(schema.get("description", ""))
    if "properties" not in schema:
        yield f"<p>{_kind(schema)}</p>"
        return
    required = schema.get("required", ())
    rows = (
        (each if each in required else f"{each}?", _kind(of), "", of.get("description", ""))
        for each, of in schema["properties"].items()
    )
    yield _table(("Member", "", "", ""), rows)


def _table(heads: tuple[str, ...], rows: Any) -> str:
    top = "".join(f"<th>{escape(each)}</th>" for each in heads)
    lines = (
        f"<tr><td><code>{escape(name)}</code></td><td>{kind}</td>"
        f"<td>{escape(where)}</td><td>{escape(words)}</td></tr>"
        for name, kind, where, words in rows
    )
    return f"<table><tr>{top}</tr>{''.join(lines)}</table>"


def _kind(schema: Schema) -> str:
    """A schema in few words, as HTML; components are pointed to."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href=#shape-{name}>{name}</a>"
    for several in ("anyOf", "enum"):
        if several in schema and "properties" not in schema:
            parts = schema[several]
            return " | ".join(_kind(p) if several == "anyOf" else _value(p) for p in parts)
    if "const" in schema:
        return _value(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    kinds = schema.get("type", "anything")
    words = escape(" | ".join(kinds) if isinstance(kinds, list) else kinds)
    if schema.get("type") == "object" and "properties" in schema:
        members = ", ".join(
            f"<code>{escape(name)}</code>: {_kind(of)}" for name, of in schema["properties"].items()
        )
        return f"{{{members}}}"
    return words + escape(_bounds(schema))


def _bounds(schema: Schema) -> str:
    """What a value is held to, in few words."""
    low = schema.get("minimum", schema.get("minLength", schema.get("minItems")))
    high = schema.get("maximum", schema.get("maxLength", schema.get("maxItems")))
    if low is None and high is None:
        return f" ({schema['format']})" if "format" in schema else ""
    return f" ({'' if low is None else low} … {'' if high is None else high})"


def _value(value: object) -> str:
    return f"<code>{escape(json.dumps(value))}</code>"


def _paragraphs(text: str) -> Iterator[str]:
    for part in filter(None, text.split("\n\n")):
        # What stands between backquotes is code, as everywhere.
        pieces = (
            f"<code>{escape(piece)}</code>" if index % 2 else escape(piece)
            for index, piece in enumerate(part.split("`"))
        )
        yield f"<p>{''.join(pieces)}</p>"
