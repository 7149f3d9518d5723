"""Is what nobody may read written nowhere, neither as itself nor inside of a message?"""

from sidecar.adapters.decisions.hidden import MARK, Hidden, without


def test_a_value_is_hidden_by_its_name_in_any_case_and_at_any_depth() -> None:
    hidden = Hidden(["*password*", "*token"])
    attributes = {
        "Password": "hunter22",
        "region": "eu",
        "estimated_tokens": 5,
        "session": {"ACCESS_TOKEN": {"value": "abcdef", "expires": 99_999}, "plain": [1, "x"]},
        "list": [{"userPassword": None, "ok": True}],
    }

    shown, secrets = hidden.veil(attributes)

    assert shown == {
        "Password": MARK,
        "region": "eu",
        "estimated_tokens": 5,
        "session": {"ACCESS_TOKEN": MARK, "plain": [1, "x"]},
        "list": [{"userPassword": MARK, "ok": True}],
    }
    assert secrets == ["hunter22", "abcdef", "99999", ""]


def test_a_star_leaves_nothing_but_names() -> None:
    shown, _ = Hidden(["*"]).veil({"region": "eu", "deep": {"er": 1}})

    assert shown == {"region": MARK, "deep": MARK}


def test_a_message_that_quotes_a_hidden_value_is_written_without_it() -> None:
    said = {
        "reasons": [{"message": "hunter22 is no password, hunter2234 neither", "status": 402}],
        "value": 99_999,
        "short": "abc",
    }

    shown = without(["hunter22", "hunter2234", "99999", "abc"], said)

    assert shown == {
        "reasons": [{"message": f"{MARK} is no password, {MARK} neither", "status": 402}],
        "value": MARK,
        "short": "abc",
    }
