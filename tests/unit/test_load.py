"""From a directory to one compiled set, or to everything that is wrong with it."""

import os
import random
import time
from pathlib import Path

import pytest

from sidecar.domain.modes import Ceiling
from sidecar.domain.prices import Rates
from sidecar.errors import ConfigurationError
from sidecar.policy.diagnostics import InvalidPolicies
from sidecar.policy.load import SHIPPED_SETS, load, policy_files, shipped
from sidecar.policy.load import test_files as policy_tests
from sidecar.policy.prices import PriceList
from sidecar.policy.snapshot import PolicySet
from sidecar.policy.source import MAX_BYTES
from tests.unit.world import findings, write

PLAN = 'plans: {free: {plugins: ["*"]}}\n'


def loaded(path: Path) -> PolicySet:
    return load(path, ceiling=Ceiling.AS_WRITTEN)


def raw(directory: Path, content: bytes, name: str = "policy.yaml") -> Path:
    directory.joinpath(name).write_bytes(content)
    return directory


PRICED = PriceList("USD", {"m": Rates(1, 1)}, {}, None, b"digest")


# -- what is read -------------------------------------------------------------------------------


def test_a_directory_that_is_not_there_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SIDECAR_POLICIES"):
        loaded(tmp_path / "nowhere")


def test_an_empty_directory_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ends in \.yaml"):
        loaded(tmp_path)


def test_tests_hidden_files_and_other_files_are_no_policies(tmp_path: Path) -> None:
    write(tmp_path, PLAN)
    for name in ("policy_test.yaml", ".draft.yaml", "notes.txt", "policy.yaml~"):
        raw(tmp_path, b"{", name)
    (tmp_path / "sub").mkdir()
    assert [file.name for file in policy_files(tmp_path)] == ["policy.yaml"]
    assert len(loaded(tmp_path).plans) == 1


def test_a_plan_with_the_longest_id_has_tokens_for_a_month(tmp_path: Path) -> None:
    name = "p" * 128
    write(tmp_path, f"plans: {{{name}: {{plugins: [], tokens_per_month: 5}}}}\n")
    assert loaded(tmp_path).limit_ids == {f"{name}-tokens-per-month"}


def test_a_suffix_is_read_in_any_case(tmp_path: Path) -> None:
    write(tmp_path, PLAN)
    write(tmp_path, "plans: {pro: {plugins: []}}\n", "limits.YAML")
    raw(tmp_path, b"{", "limits_test.YAML")
    assert {plan.id for plan in loaded(tmp_path).plans} == {"free", "pro"}


def test_a_policy_that_is_a_link_to_nothing_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path, PLAN)
    (tmp_path / "b.yaml").symlink_to(tmp_path / "..data" / "b.yaml")
    with pytest.raises(ConfigurationError, match=r"b\.yaml: this is a link to nothing"):
        loaded(tmp_path)


def test_a_policy_that_is_no_file_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path, PLAN)
    (tmp_path / "sub.yaml").mkdir()
    with pytest.raises(ConfigurationError, match=r"sub\.yaml: this is no file"):
        loaded(tmp_path)


def test_a_test_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, PLAN)
    os.mkfifo(tmp_path / "a_test.yaml")
    with pytest.raises(ConfigurationError, match=r"a_test\.yaml: this is no file"):
        policy_tests(tmp_path)


@pytest.mark.parametrize("name", [b"\xff.yaml", b"a\nb.yaml", b"\x1b[31m.yaml", b"\xff_test.yaml"])
def test_a_name_that_cannot_be_shown_is_told_in_characters_that_can(
    name: bytes, tmp_path: Path
) -> None:
    write(tmp_path, PLAN)
    (tmp_path / os.fsdecode(name)).write_text(PLAN)
    with pytest.raises(ConfigurationError, match="cannot be shown") as refused:
        (policy_tests if b"_test" in name else loaded)(tmp_path)
    assert str(refused.value).isprintable()


def test_a_link_to_a_policy_is_a_policy(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    write(tmp_path / "..data", PLAN, "a.yaml")
    (tmp_path / "a.yaml").symlink_to(tmp_path / "..data" / "a.yaml")
    assert [plan.id for plan in loaded(tmp_path).plans] == ["free"]


def test_a_single_file_stands_for_itself(tmp_path: Path) -> None:
    write(tmp_path, PLAN, "one.yaml")
    raw(tmp_path, b"{", "broken.yaml")
    assert len(loaded(tmp_path / "one.yaml").plans) == 1


def test_files_are_merged_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, "plans: {b: {plugins: []}}\n", "2.yaml")
    write(tmp_path, "plans: {c: {plugins: []}, a: {extends: b}}\n", "1.yml")
    assert [plan.id for plan in loaded(tmp_path).plans] == ["c", "a", "b"]


def test_json_is_read_as_well(tmp_path: Path) -> None:
    text = (
        b'{\n\t"apiVersion": "sidecar/v1", "kind": "Policy", "metadata": {"name": "j"},\n'
        b'\t"plans": {"free": {"plugins": ["*"]}},\n\t"rules": [{"id": "r", "effect": "warn",\n'
        b'\t\t"message": "M", "when": "request.plugin == \\"a\\""}]\n}\n'
    )
    assert len(loaded(raw(tmp_path, text, "policy.json")).plans) == 1


@pytest.mark.parametrize("name", SHIPPED_SETS)
@pytest.mark.parametrize("ceiling", Ceiling)
def test_every_set_that_is_shipped_loads(name: str, ceiling: Ceiling) -> None:
    assert load(shipped(name), ceiling=ceiling).plans


# -- the revision -------------------------------------------------------------------------------


def test_a_revision_is_stable_and_changes_with_every_byte(tmp_path: Path) -> None:
    first = loaded(write(tmp_path, PLAN)).revision
    assert first == loaded(tmp_path).revision
    assert len(first) == len("sha256:") + 64
    assert loaded(write(tmp_path, PLAN + "# a comment\n")).revision != first
    assert loaded(write(tmp_path, PLAN)).revision == first


def test_a_revision_changes_with_the_prices(tmp_path: Path) -> None:
    write(tmp_path, PLAN)
    others = PriceList("USD", {"m": Rates(1, 1)}, {}, None, b"another")
    revisions = {
        load(tmp_path, ceiling=Ceiling.AS_WRITTEN, prices=prices).revision
        for prices in (None, PRICED, others)
    }
    assert len(revisions) == 3


def test_a_limit_on_cost_loads_where_there_are_prices(tmp_path: Path) -> None:
    limit = "{id: spend, meter: cost, max: 5000000, window: billing_month}"
    write(tmp_path, f"plans: {{free: {{plugins: [], limits: [{limit}]}}}}\n")
    with pytest.raises(InvalidPolicies, match="SIDECAR_PRICES"):
        loaded(tmp_path)
    rules = load(tmp_path, ceiling=Ceiling.AS_WRITTEN, prices=PRICED)
    assert rules.limit_ids == {"spend"}


def test_grants_can_be_for_every_limit_but_concurrency(tmp_path: Path) -> None:
    limits = "{id: at-once, meter: concurrency, max: 1}, "
    limits += "{id: daily, meter: tokens, max: 1, window: day}"
    write(tmp_path, f"plans: {{free: {{plugins: [], tokens_per_month: 1, limits: [{limits}]}}}}\n")
    assert loaded(tmp_path).limit_ids == {"free-tokens-per-month", "daily"}


def test_a_revision_does_not_depend_on_where_the_directory_stands(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, PLAN)
    assert loaded(tmp_path / "one").revision == loaded(tmp_path / "two").revision


def test_a_revision_changes_when_text_moves_between_files(tmp_path: Path) -> None:
    write(tmp_path, PLAN, "a.yaml")
    first = loaded(tmp_path).revision
    (tmp_path / "a.yaml").rename(tmp_path / "b.yaml")
    assert loaded(tmp_path).revision != first


# -- every mistake at once ----------------------------------------------------------------------


def test_every_mistake_of_every_file_is_told_in_order_of_place(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        mode: enforced
        mode: enforce
        plans:
          free:
            plugins: ["*"]
            limits:
              - {id: a, meter: tokns, max: -1, when: request.nope}
              - {id: b, meter: tokens, max: 1, window: 1m, when: foo}
        rules:
          - {id: r, effect: deny, when: vars.big, message: 7}
          - {id: a, effect: warn, message: M}
        """,
        "one.yaml",
    )
    write(tmp_path, "colour: red\ndefaults: {plan: fre}\n", "two.yaml")
    found = [(Path(it.file).name, it.line, it.code) for it in findings(tmp_path)]
    assert found == [
        ("one.yaml", 5, "B2"), ("one.yaml", 6, "A2"),
        ("one.yaml", 11, "B2"), ("one.yaml", 11, "B2"), ("one.yaml", 11, "B5"),
        ("one.yaml", 11, "G2"), ("one.yaml", 12, "G2"),
        ("one.yaml", 14, "I8"), ("one.yaml", 14, "G2"), ("one.yaml", 14, "B2"),
        ("one.yaml", 15, "B4"),
        ("two.yaml", 4, "B1"), ("two.yaml", 5, "C1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        # What hangs on a mistake is not called a mistake.
        'plans: {free: {plugin: ["*"]}}',
        'plans: {free: {plugins: "*"}}',
        "plans: {free: {plugins: []}, pro: {extends: fre}}",
        "mode: enforced\nplans: {free: {plugins: []}}\n"
        "rules: [{id: r, effect: warn, mode: enforce, message: M}]",
        "plans: {free: {plugins: []}}\nrules: [{id: r, efect: warn, message: M}]",
        "plans: {free: {plugins: []}}\n"
        "rules: [{id: r, effect: deny, when: now > now, on_errror: skip, message: M}]",
        "plans: {free: {plugins: [], tokens_per_month: many}}\n"
        "overrides: [{id: o, for: {apps: [a]}, limit: free-tokens-per-month, max: 1}]",
        "plans: {free: {plugins: []}}\n"
        "variables: [{name: a, expr: nope}, {name: b, expr: vars.a}]\n"
        "rules: [{id: r, effect: warn, when: vars.b && vars.a, message: M}]",
    ],
)
def test_one_mistake_is_told_once(tmp_path: Path, text: str) -> None:
    assert len(findings(write(tmp_path, text + "\n"))) == 1


def test_a_name_in_a_file_that_cannot_be_read_is_not_called_unknown(tmp_path: Path) -> None:
    write(tmp_path, "defaults: {plan: free}\nplans: {pro: {plugins: []}}\n", "a.yaml")
    raw(tmp_path, b"\xff\xfe", "b.yaml")
    assert [(Path(it.file).name, it.code) for it in findings(tmp_path)] == [("b.yaml", "A1")]


def test_a_hundred_thousand_mistakes_are_told_in_good_time(tmp_path: Path) -> None:
    write(tmp_path, "".join(f"k{number}: 1\n" for number in range(60_000)))
    assert len(findings(tmp_path)) == 200


LARGE = {
    "many unknown fields in one line": "rules: [{"
    + ",".join(f"k{number}: 1" for number in range(60_000))
    + "}]\n",
    "many plans that say nothing": "plans: {"
    + ",".join(f"k{number}: {{}}" for number in range(20_000))
    + "}\n",
    "plans that extend each other without end": "plans: {"
    + ",".join(f"k{number}: {{extends: k{number + 1}}}" for number in range(8_000))
    + "}\n",
    "plans that extend nothing": "plans: {"
    + ",".join(f"k{number}: {{extends: z{number}}}" for number in range(300))
    + "}\n",
    "merge keys": "<<: 1\n" * 20_000,
    "overrides that all tie": "plans: {free: {plugins: [], tokens_per_month: 5}}\noverrides: ["
    + ",".join(
        f"{{id: o{number}, for: {{apps: [a]}}, limit: free-tokens-per-month, max: 1}}"
        for number in range(2_000)
    )
    + "]\n",
    "rules of one id": "rules: ["
    + ",".join("{id: r, effect: warn, message: m}" for _ in range(5_000))
    + "]\n",
}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_text_is_answered_in_good_time_and_in_few_words(tmp_path: Path, name: str) -> None:
    write(tmp_path, LARGE[name])
    start = time.process_time()
    with pytest.raises(InvalidPolicies) as refused:
        loaded(tmp_path)
    assert time.process_time() - start < 4  # some 1 s on an idle machine
    assert len(refused.value.diagnostics) <= 200
    assert len(str(refused.value)) < 200_000


# -- no text is too strange ---------------------------------------------------------------------

STRANGE = {
    "nothing": b"",
    "only a comment": b"# hello",
    "a list": b"- a\n- b\n",
    "text": b"hello",
    "a number": b"5",
    "nul": b"a: \0",
    "binary": bytes(range(256)),
    "utf-16": "plans: {}".encode("utf-16"),
    "half of utf-16": b"\xff",
    "utf-16 without a mark": "plans: {}".encode("utf-16-le"),
    "a broken character": b"a: \xe2\x82",
    "a surrogate": b"a: \xed\xa0\x80",
    "an escaped surrogate": b'a: "\\ud83d"',
    "complex keys": b"? [a]\n: b\n? {c: d}\n: e\n",
    "odd keys": b"true: 1\nnull: 2\n3: 4\n1.5: 6\n'': 7\n~: 8\n",
    "merge keys": b"<<: {a: 1}\n<<: [b]\n",
    "an alias to itself": b"a: &a [*a]\n",
    "a billion laughs": b"a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n",
    "deep lists": b"[" * 100_000,
    "deep mappings": b"{a: " * 100_000,
    "a huge number": b"plans: {a: {plugins: [], tokens_per_month: " + b"9" * 500_000 + b"}}",
    "a huge float": b"constants: {a: 1e" + b"9" * 5_000 + b"}",
    "a long line": b"a: " + b"x" * 900_000,
    "a long key": b"x" * 2_000 + b": 1",
    "a very long key": b"x" * 900_000 + b": 1",
    "too large": b"#" * (MAX_BYTES + 1),
    "too large and cut in a character": b"#" * (MAX_BYTES - 1) + "é".encode() * 3,
    "tabs": b"plans:\n\tfree:\n\t\tplugins: []\n",
    "crlf": b"plans:\r\n  free:\r\n    plugin: []\r\n",
    "cr": b"plans:\r  free:\r    plugin: []\r",
    "a mark": b"\xef\xbb\xbfplans: {free: {plugin: []}}\n",
    "a mark and nothing": b"\xef\xbb\xbf",
    "emoji": "plans: {🦉: {plugins: [🦉]}}\nrules: [{id: 🦉}]\n".encode(),
    "line separators": "a: x\u2028b: y\u2029c: z\x85d: 1\n".encode(),
    "directives": b"%YAML 9.9\n%TAG ! !\n---\na: 1\n",
    "documents": b"---\na: 1\n---\nb: 2\n...\n",
    "tags": b"a: !!python/object/apply:os.system ['true']\n",
    "nulls everywhere": b"plans:\nrules:\nmode:\ndefaults:\nmetadata:\nconstants:\n",
    "lists for mappings": b"plans: []\ndefaults: []\nmetadata: []\nsubscription: []\n",
    "mappings for lists": b"rules: {}\noverrides: {}\nvariables: {}\n",
    "empty expressions": b"variables: [{name: a, expr: ''}, {name: b, expr: ' '}]\n",
    "a deep expression": b"variables: [{name: a, expr: '" + b"(" * 3_000 + b"'}]\n",
    "a long expression": b"variables: [{name: a, expr: '" + b"1 + " * 100_000 + b"1'}]\n",
    "an expression of nul": b'variables: [{name: a, expr: "\\0"}]\n',
    "an expression of lines": b'variables: [{name: a, expr: "a\\n\\n &&"}]\n',
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_text_is_answered_with_a_place(tmp_path: Path, name: str) -> None:
    found = findings(raw(tmp_path, STRANGE[name]))
    assert found
    for finding in found:
        assert finding.line >= 1
        assert finding.column >= 1
        assert str(finding).startswith(f"{tmp_path}/policy.yaml:{finding.line}:{finding.column}: ")
        assert len(str(finding)) < 3_000


@pytest.mark.parametrize("name", SHIPPED_SETS)
def test_any_edit_of_a_shipped_policy_loads_or_is_answered_with_a_place(
    tmp_path: Path, name: str
) -> None:
    text = (shipped(name) / "policy.yaml").read_text(encoding="utf-8")
    chance = random.Random(name)
    alphabet = "abz09 \t\n:-[]{},'\"#&*!|>%@`\\?.~\0é🦉"
    loads = 0
    for _ in range(100):
        at = chance.randrange(len(text))
        edited = text[:at] + chance.choice(["", chance.choice(alphabet)]) + text[at + 1 :]
        raw(tmp_path, edited.encode())
        found = findings(tmp_path)
        lines = edited.count("\n") + 1
        assert all(1 <= finding.line <= lines for finding in found)
        loads += not found
    assert 0 < loads < 100
