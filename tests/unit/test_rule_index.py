"""A decision touches the rules alone whose match names the plugin, and those in file order."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.modes import Ceiling
from sidecar.domain.request import CheckRequest
from sidecar.policy.compiled import MOST_FUSED, MOST_NAMES, CompiledRule, Concerns
from sidecar.policy.conditions import Context
from sidecar.policy.glob_index import GlobIndex
from sidecar.policy.globs import Globs
from sidecar.policy.load import load
from sidecar.policy.ruling import speaking
from tests.unit.world import NOW, ask, decide, ids, policies, subscribed, write

NAMES = st.text("ab_", max_size=5)
GLOBS = st.lists(st.text("ab_*?", min_size=1, max_size=5), min_size=1, max_size=4)
SETS = st.lists(st.none() | GLOBS.map(Globs), max_size=12)

RULES = """
    mode: advisory
    plans: {free: {plugins: ["*"]}}
    rules:
      - {id: last-letter, match: {plugins: ["*_x"]}, effect: warn, message: m}
      - {id: exact, match: {plugins: [tool_x]}, effect: warn, message: m}
      - {id: everybody, effect: warn, message: m}
      - {id: another, match: {plugins: [pack_x, "pack_*"]}, effect: warn, message: m}
      - {id: prefix, match: {plugins: ["nothing", "to?l_*"]}, effect: warn, message: m}
"""


def scanned(sets: list[Globs | None], name: str) -> tuple[int, ...]:
    """What trying one set of globs after the other finds."""
    return tuple(
        position
        for position, globs in enumerate(sets)
        if globs is None or (name != "" and globs.match(name))
    )


@given(SETS, st.lists(NAMES, max_size=8))
def test_the_index_finds_what_a_scan_finds_in_the_same_order(
    sets: list[Globs | None], names: list[str]
) -> None:
    index = GlobIndex(sets)

    for name in names:
        assert index.find(name) == scanned(sets, name)


def rules_of(directory: Path) -> tuple[CompiledRule, ...]:
    (plan,) = load(write(directory, RULES), ceiling=Ceiling.AS_WRITTEN).plans
    return plan.rules


def test_rules_speak_in_file_order_whatever_they_are_found_by(tmp_path: Path) -> None:
    rules = policies(tmp_path, RULES)

    asked = ids(decide(rules, ask(plugin="tool_x"), subscribed()))
    unnamed = ids(decide(rules, ask(), subscribed()))

    assert asked == ["last-letter", "exact", "everybody", "prefix"]
    assert unnamed == ["everybody"]


def test_of_invented_names_a_bounded_number_is_remembered(tmp_path: Path) -> None:
    concerns = Concerns(rules_of(tmp_path))

    for number in range(MOST_NAMES + 100):
        concerns.find(f"pack_{number}")
    concerns.find(f"pack_{MOST_NAMES}")

    counted = concerns.find.cache_info()
    assert (counted.currsize, counted.misses, counted.hits) == (MOST_NAMES, MOST_NAMES + 100, 1)


def test_names_that_the_same_rules_concern_share_one_answer(tmp_path: Path) -> None:
    concerns = Concerns(rules_of(tmp_path))

    assert concerns.find("pack_1") is concerns.find("pack_2")
    assert concerns.find("pack_1") is not concerns.find("tool_x")


CONDITIONS = """
    mode: advisory
    plans: {free: {plugins: ["*"]}}
    variables: [{name: longest, expr: size(request.model)}]
    rules:
      - {id: large, when: request.estimated_tokens > 10, effect: warn, message: m}
      - {id: erring, when: 10 / request.estimated_tokens > 1, effect: warn, message: m}
      - id: named
        when: request.model.startsWith("a") && vars.longest > 1
        effect: warn
        message: m
      - id: foreign
        when: has(request.attributes.to) && request.attributes.to == "x"
        effect: warn
        message: m
      - id: of-pack
        match: {plugins: ["pack_*"]}
        when: request.user_id != "u"
        effect: warn
        message: m
"""
REQUESTS = st.builds(
    ask,
    tokens=st.sampled_from([0, 3, 10, 11]),
    model=st.sampled_from(["", "a", "ab", "b"]),
    plugin=st.sampled_from(["", "pack_1", "tool"]),
    attributes=st.sampled_from([{}, {"to": "x"}, {"to": 1}, {"other": None}]),
)


def test_conditions_that_are_asked_at_once_say_what_each_says(tmp_path: Path) -> None:
    (plan,) = load(write(tmp_path, CONDITIONS), ceiling=Ceiling.AS_WRITTEN).plans

    @given(REQUESTS)
    def agree(request: CheckRequest) -> None:
        context = Context.of(request, subscribed(), plan.facts, NOW)
        (asked,) = plan.concerns.find(request.plugin).early
        assert asked.at_once is not None
        one_by_one = replace(asked, at_once=None)
        assert list(speaking(asked, context)) == list(speaking(one_by_one, context))

    agree()


def test_many_conditions_stay_by_themselves(tmp_path: Path) -> None:
    rule = "{{id: r{0}, when: request.estimated_tokens > {0}, effect: warn, message: m}}"
    rules = "\n".join(f"  - {rule.format(number)}" for number in range(MOST_FUSED + 1))
    text = f"mode: advisory\nplans: {{free: {{plugins: ['*']}}}}\nrules:\n{rules}\n"
    (plan,) = load(write(tmp_path, text), ceiling=Ceiling.AS_WRITTEN).plans

    (asked,) = plan.concerns.find("").early

    assert asked.at_once is None
    assert len(asked.tests) == MOST_FUSED + 1
