"""What was recorded, as it is really found: logs of a server, torn, late, sampled, of several."""

import os
import pty
import random
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import httpx
import orjson
from click.testing import CliRunner, Result

from sidecar.adapters.decisions.files import decision_files
from sidecar.cli.simulate import simulate
from sidecar.domain.decision import Effect
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Status, Subscription
from sidecar.policy.simulation.changes import Changes
from sidecar.policy.simulation.events import Said
from sidecar.policy.simulation.subscriptions import Known
from tests.in_process import application
from tests.priced import PRICES, WALLET_POLICY
from tests.processes import ROOT, Sidecar
from tests.simulation.course import BEGIN, course, line
from tests.simulation.test_simulation import pairs, run, written

MONTHLY = """\
apiVersion: sidecar/v1
kind: Policy
metadata: {name: monthly}
mode: enforce
defaults: {plan: free}
plans:
  free:
    plugins: ["*"]
    tokens_per_month: 5000
    limits:
      - {id: running, meter: concurrency, max: 30}
rules:
  - {id: no-mail, when: request.plugin == "mail", effect: deny, on_error: deny, message: No mail.}
"""


def folder_of(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "policy.yaml").write_text(text)
    return path


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(simulate, [*map(str, arguments)])


async def ask(client: httpx.AsyncClient, count: int) -> None:
    for number in range(count):
        plugin = "mail" if number % 17 == 0 else "search"
        asked = {"user_id": f"u{number % 4}", "plugin": plugin, "estimated_tokens": 100 + number}
        await client.post("/v1/check", json={"app_id": "demo", "reserve": True} | asked)


async def test_the_policies_that_decided_would_decide_so_again(tmp_path: Path) -> None:
    policies, log = folder_of(tmp_path / "policies", MONTHLY), tmp_path / "log"
    again = {"app_id": "demo", "user_id": "u0", "estimated_tokens": 4_000, "reserve": True}
    async with application(policies, sidecar_decision_log=log) as client:
        for _ in range(3):
            first = await client.post("/v1/check", json=again | {"request_id": "r-1"})
        held = first.json()["reservation"]["id"]
        extending = {"ttl_s": 90, "estimate": {"input_tokens": 300}}
        extended = [
            (await client.post(f"/v1/reservations/{held}/extend", json=extending)).status_code
            for _ in range(5)
        ]
        await ask(client, 200)

    outcome = run("--policies", policies, "--events", log)

    assert extended == [200, 200, 200, 402, 402]
    assert (outcome["compared"], outcome["changed"]) == (208, 0)
    assert outcome["candidate_says"]["deny"] > 50
    assert outcome["base"]["kind"] == "recorded"
    assert outcome["counted_by"] == "holds"
    assert outcome["silent"] == {"limits": [], "rules": []}


async def test_a_balance_is_spent_again_as_it_was_told_then(tmp_path: Path) -> None:
    policies, log = folder_of(tmp_path / "policies", WALLET_POLICY), tmp_path / "log"
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES)
    answers = []
    async with application(policies, sidecar_prices=prices, sidecar_decision_log=log) as client:
        for balance in (None, 10_000, 3_000, -5, 20_000):
            if balance is not None:
                told = {"userId": "u", "appId": "a", "balance": balance, "currency": "USD"}
                told["asOf"] = datetime.now(UTC).isoformat()
                assert (await client.post("/api/internal/wallet/sync", json=told)).is_success
            for _ in range(6):
                asked = {"app_id": "a", "user_id": "u", "estimated_tokens": 1_900, "reserve": True}
                answer = await client.post("/v1/check", json=asked)
                answers.append(answer.status_code)
                if answer.is_success:
                    held = f"/v1/reservations/{answer.json()['reservation']['id']}/commit"
                    await client.post(held, json={"total_tokens": 1_900})

    same = run("--policies", policies, "--events", log, "--prices", prices)
    dearer = tmp_path / "dearer.yaml"
    dearer.write_text(PRICES.replace("input: 1, output: 1", "input: 2, output: 2"))
    other = run("--policies", policies, "--events", log, "--prices", dearer)

    assert (answers.count(200), answers.count(402)) == (12, 18)
    assert (same["compared"], same["changed"]) == (30, 0)
    # Of 10,000 two runs instead of five, the fifth with a warning; none of 3,000; five of 20,000.
    assert pairs(other) == {("allow", "deny"): 2 + 1 + 1, ("warn", "deny"): 1}


def test_what_was_asked_without_a_hold_counts_as_little_again(tmp_path: Path) -> None:
    few_runs = MONTHLY.replace("max: 30", "max: 2")
    policies, log = folder_of(tmp_path / "policies", few_runs), tmp_path / "log"
    env = {"SIDECAR_DECISION_LOG": str(log)}
    with Sidecar(policies=policies, store="sqlite://", cwd=tmp_path, env=env) as sidecar:
        for number in range(200):
            held = {"reserve": True} if number % 2 else {}
            asked = {"app_id": "demo", "user_id": f"u{number % 8}", "estimated_tokens": 300}
            decision = sidecar.client.post("/v1/check", json=asked | held).json()
            if decision["reservation"]:
                path = f"/v1/reservations/{decision['reservation']['id']}/commit"
                assert sidecar.client.post(path, json={"total_tokens": 300}).is_success

    outcome = run("--policies", policies, "--events", log)
    estimated = run("--policies", policies, "--events", log, "--count", "estimates")
    told = invoke("--policies", policies, "--events", log).stdout

    assert (outcome["compared"], outcome["changed"]) == (200, 0), outcome["by"]
    assert outcome["candidate_says"] == {"allow": 164, "deny": 36}
    assert (outcome["counted_by"], outcome["events"]["holding"]) == ("holds", 100)
    assert outcome["nothing_counted"] is False
    assert pairs(estimated) == {("allow", "deny"): 36}
    assert "note: 100 checks held nothing, and count nothing (--count estimates)" in told


async def test_a_run_has_ended_when_a_later_check_read_so(tmp_path: Path) -> None:
    three = MONTHLY.replace("max: 30", "max: 3")
    policies, log = folder_of(tmp_path / "policies", three), tmp_path / "log"
    wider = folder_of(tmp_path / "wider", MONTHLY.replace("max: 30", "max: 4"))
    asked = {"app_id": "demo", "user_id": "ann", "estimated_tokens": 10, "reserve": True}
    async with application(policies, sidecar_decision_log=log) as client:
        for _ in range(20):
            held = (await client.post("/v1/check", json=asked)).json()["reservation"]["id"]
            await client.post(f"/v1/reservations/{held}/commit", json={"total_tokens": 10})
        for _ in range(6):
            await client.post("/v1/check", json=asked)

    again = run("--policies", policies, "--events", log)
    with_room = run("--policies", wider, "--events", log)

    assert (again["compared"], again["changed"]) == (26, 0), again["by"]
    assert again["candidate_says"] == {"allow": 23, "deny": 3}
    # The fourth run was let through here alone, and holds its place until its time is over.
    assert pairs(with_room) == {("deny", "allow"): 1}


async def test_where_nothing_was_held_and_no_use_is_told_that_is_said_in_front(
    tmp_path: Path,
) -> None:
    policies, log = folder_of(tmp_path / "policies", MONTHLY), tmp_path / "log"
    async with application(policies, sidecar_decision_log=log) as client:
        for _ in range(40):
            asked = {"app_id": "demo", "user_id": "ann", "estimated_tokens": 300}
            await client.post("/v1/check", json=asked)
    arguments = ("--policies", policies, "--events", log)

    told = invoke(*arguments)
    for_programs = invoke(*arguments, "--format", "json")
    estimated = invoke(*arguments, "--count", "estimates")

    assert told.stdout.startswith("WARNING: nothing was counted, so no limit was put to the test: ")
    assert "(--count estimates)" in told.stdout.splitlines()[0]
    assert "0 of 40 decisions change (0.0%)" in told.stdout
    assert orjson.loads(for_programs.stdout)["nothing_counted"] is True
    assert for_programs.stderr.startswith("warning: nothing was counted, ")
    assert "nothing was counted" not in estimated.output
    assert "24 of 40 decisions change" in estimated.stdout


async def test_a_log_that_begins_in_the_middle_of_a_month_begins_with_what_was_used(
    tmp_path: Path,
) -> None:
    policies, log = folder_of(tmp_path / "policies", MONTHLY), tmp_path / "log"
    async with application(policies, sidecar_decision_log=log) as client:
        await ask(client, 160)
    (file,) = decision_files(log)
    second_half = tmp_path / "second.ndjson"
    second_half.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[80:]))
    # Live, the first half is held, not used: it is committed here as it was asked.
    lines = [orjson.loads(each) for each in second_half.read_bytes().splitlines()]
    for each in lines:
        for limit in each["limits"]:
            limit["used"] += limit["reserved"]
    second_half.write_bytes(b"".join(map(line, lines)))

    outcome = run("--policies", policies, "--events", second_half)

    assert (outcome["compared"], outcome["changed"]) == (80, 0), outcome["events"]
    assert outcome["candidate_says"]["deny"] > 20


async def test_a_stricter_policy_is_seen_to_refuse_and_why(tmp_path: Path) -> None:
    policies, log = folder_of(tmp_path / "policies", MONTHLY), tmp_path / "log"
    stricter = MONTHLY.replace("5000", "1000").replace('"mail"', '"search"')
    candidate = folder_of(tmp_path / "stricter", stricter)
    async with application(policies, sidecar_decision_log=log) as client:
        await ask(client, 40)

    outcome = run("--policies", candidate, "--events", log, "--users", 2)
    told = invoke("--policies", candidate, "--events", log).stdout

    assert pairs(outcome) == {("allow", "deny"): 37, ("deny", "allow"): 3}
    by = {each["id"]: each for each in outcome["by"]}
    assert by["no-mail"]["kind"] == "rule"
    assert by["no-mail"]["count"] == 40
    assert by["no-mail"]["changes"] == {"allow->deny": 37, "deny->allow": 3}
    assert len(outcome["users"]["top"]) == 2
    assert outcome["users"]["changed"] == 4
    assert told.startswith("40 of 40 decisions change (100.0%) against what was said then\n")
    assert "rule no-mail" in told


def test_a_torn_line_and_a_wrong_one_are_told_and_stop_nothing(tmp_path: Path) -> None:
    events = list(course(50, seed=1, users=3, span=timedelta(hours=1), kinds="du"))
    new, old, file = written(tmp_path, events)
    wrong = b'{"at": "2026-05-03T00:00:00Z", "app_id": "a"}\n[1]\n7\n{"user_id": "a"}\n'
    file.write_bytes(file.read_bytes() + wrong + line(events[0])[:-30])

    done = invoke("--policies", new, "--against", old, "--events", file, "--format", "json")

    outcome = orjson.loads(done.stdout)
    assert done.exit_code == 0
    assert outcome["events"]["unreadable"] == 5
    assert outcome["events"]["checks"] + outcome["events"]["usage"] == 50
    assert done.stderr.splitlines()[0] == f"{file}:51: user_id: Field required"
    assert len(done.stderr.splitlines()) == 3


def test_events_that_are_a_little_out_of_order_give_the_same_answer(tmp_path: Path) -> None:
    events = list(course(3_000, seed=5, users=12, span=timedelta(hours=30), kinds="dcu"))
    new, old, file = written(tmp_path, events)
    in_order = run("--policies", new, "--against", old, "--events", file)
    dice = random.Random(5)
    shuffled = [
        event
        for start in range(0, len(events), 500)
        for event in dice.sample(events[start : start + 500], len(events[start : start + 500]))
    ]
    file.write_bytes(b"".join(map(line, shuffled)))
    out_of_order = run("--policies", new, "--against", old, "--events", file)

    assert out_of_order == in_order
    assert out_of_order["events"]["late"] == 0


def test_an_event_that_comes_far_too_late_is_counted_as_late(tmp_path: Path) -> None:
    events = list(course(12_000, seed=5, users=12, span=timedelta(hours=30), kinds="u"))
    new, _, file = written(tmp_path, [*events[10:], *events[:10]])

    outcome = run("--policies", new, "--events", file)

    assert outcome["events"]["late"] == 10


def test_several_sources_are_put_in_the_order_of_their_times(tmp_path: Path) -> None:
    events = list(course(900, seed=6, users=12, span=timedelta(hours=30), kinds="du"))
    new, old, file = written(tmp_path, events)
    whole = run("--policies", new, "--against", old, "--events", file)
    log, use = tmp_path / "log", tmp_path / "use.ndjson"
    log.mkdir()
    decisions = [line(event) for event in events if "decision_id" in event]
    for number, (series, start) in enumerate((("a", 0), ("b", 1), ("a", 2))):
        part = decisions[start::3]
        (log / f"decisions-{number}-{number}-{series}{number}.ndjson").write_bytes(b"".join(part))
    use.write_bytes(b"".join(line(event) for event in events if "event_id" in event))

    apart = run("--policies", new, "--against", old, "--events", log, use)

    assert apart == whole


def test_standard_input_is_a_source_too(tmp_path: Path) -> None:
    events = list(course(300, seed=6, users=12, span=timedelta(hours=3), kinds="du"))
    new, old, file = written(tmp_path, events)
    arguments = ["--policies", str(new), "--against", str(old), "--format", "json", "--events"]

    from_file = CliRunner().invoke(simulate, [*arguments, str(file)])
    piped = CliRunner().invoke(simulate, [*arguments, "-"], input=file.read_bytes())

    assert piped.stdout == from_file.stdout


def test_a_line_may_hold_several_reports_or_a_cloud_event(tmp_path: Path) -> None:
    report = {"app_id": "a", "user_id": "ann", "prompt_tokens": 30_000}
    lines = [
        [report | {"event_id": "1", "event_ts": BEGIN.isoformat()}],
        {"events": [report | {"event_id": "2", "event_ts": BEGIN.isoformat()}]},
        {
            "specversion": "1.0",
            "type": "chat.usage_delta",
            "source": "runtime",
            "id": "3",
            "time": BEGIN.isoformat(),
            "data": report,
        },
        {"specversion": "1.0", "type": "chat.usage_delta", "data": report},
        {"at": BEGIN.isoformat(), "app_id": "a", "user_id": "ann"},
    ]
    new, _, _ = written(tmp_path, [])
    file = tmp_path / "lines.ndjson"
    file.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in lines))

    outcome = run("--policies", new, "--events", file)

    assert (outcome["events"]["usage"], outcome["events"]["unreadable"]) == (3, 1)
    assert outcome["candidate_says"] == {"deny": 1}


def test_users_whose_allows_were_not_recorded_are_left_out(tmp_path: Path) -> None:
    events = list(course(2_000, seed=7, users=200, span=timedelta(hours=3), kinds="d"))
    for event in events:
        event["allows"] = 0.3
    new, _, file = written(tmp_path, events)

    outcome = run("--policies", new, "--events", file)

    assert outcome["events"]["checks"] + outcome["events"]["left_out"] == 2_000
    assert 300 < outcome["events"]["checks"] < 1_000


def test_the_plan_comes_from_the_recorded_subscription_or_from_a_file(tmp_path: Path) -> None:
    asked = [
        {"at": BEGIN.isoformat(), "app_id": "a", "user_id": user, "plugin": "pro_tool"}
        for user in ("ann", "bob", "carl")
    ]
    new, old, file = written(tmp_path, asked)
    given = tmp_path / "subscriptions.ndjson"
    bodies = [
        {"userId": "ann", "plan": "pro", "status": "active"},
        {"userId": "bob", "appId": "a", "plan": "pro", "status": "canceled"},
    ]
    given.write_bytes(b"".join(map(line, bodies)))
    arguments = ("--policies", new, "--against", old, "--events", file)

    with_none = run(*arguments)
    with_some = run(*arguments, "--subscriptions", given)

    assert [each["user_id"] for each in with_none["users"]["top"]] == ["ann", "bob", "carl"]
    assert [each["user_id"] for each in with_some["users"]["top"]] == ["bob", "carl"]
    assert with_none["events"]["users_without_subscription"] == 3
    assert with_some["events"]["users_without_subscription"] == 1


def test_limits_and_rules_that_never_spoke_are_named(tmp_path: Path) -> None:
    new, old, file = written(
        tmp_path, list(course(900, seed=1, users=12, span=timedelta(hours=30), kinds="du"))
    )

    outcome = run("--policies", new, "--against", old, "--events", file)

    assert outcome["silent"]["rules"] == ["never"]
    assert "huge" in outcome["silent"]["limits"]
    assert "per-hour" not in outcome["silent"]["limits"]


def test_more_users_than_are_told_apart_are_said_to_be_more() -> None:
    changes = Changes(most_users=2)
    for user in ("ann", "bob", "ann", "carl"):
        changes.add(Said(Effect.ALLOW), Said(Effect.DENY, ("x",)), Subject("a", user), BEGIN)

    assert changes.changed == 4
    assert (changes.users, changes.are_all_users_told) == (2, False)


def test_without_events_there_is_no_answer(tmp_path: Path) -> None:
    new, _, file = written(tmp_path, [])
    command = [sys.executable, "-m", "sidecar", "simulate", "--policies", str(new), "--events"]

    empty = subprocess.run([*command, str(file)], cwd=ROOT, capture_output=True, text=True)
    nowhere = subprocess.run(
        [*command, str(tmp_path / "x")], cwd=ROOT, capture_output=True, text=True
    )

    assert (empty.returncode, empty.stderr) == (3, "there is no event to replay\n")
    assert nowhere.returncode == 3
    assert "there is no such file or directory" in nowhere.stderr


def test_on_a_terminal_it_is_shown_how_far_it_is(tmp_path: Path) -> None:
    events = list(course(4_000, seed=1, users=50, span=timedelta(hours=3), kinds="du"))
    new, _, file = written(tmp_path, events)
    command = [sys.executable, "-m", "sidecar", "simulate", "--policies", str(new)]
    screen, end = pty.openpty()
    shown = bytearray()

    def look() -> None:
        # It ends with an error when nobody writes to the screen any more.
        with suppress(OSError):
            while piece := os.read(screen, 4_096):
                shown.extend(piece)

    looking = Thread(target=look)
    looking.start()
    with subprocess.Popen(
        [*command, "--events", str(file)], cwd=ROOT, stdout=subprocess.PIPE, stderr=end,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    ) as process:  # fmt: skip
        os.close(end)
        told, _ = process.communicate(timeout=60)
    looking.join()
    os.close(screen)

    assert process.returncode == 0
    assert b"decisions change" in told
    assert b"4,000 events" in shown
    assert b"100 %" in shown


def test_twenty_thousand_events_take_no_more_memory_than_is_promised() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--events", "20000", "--users", "3000"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "MB of memory" in done.stdout


def test_what_is_alike_in_subscriptions_is_kept_once_and_each_user_has_its_own() -> None:
    known = Known()
    active = Subscription("", plan="pro", status=Status.ACTIVE)
    for number in range(1_000):
        user = Subject("a", f"u{number}")
        since = BEGIN + timedelta(seconds=number)
        if number % 2:
            known.of(user, replace(active, user_id=user.user_id, updated_at=since))
        else:
            known.of(user, replace(active, status=Status.PAST_DUE, updated_at=since))

    found = [known.of(Subject("a", f"u{number}"), None) for number in range(1_001)]

    assert [state.status.value for state in found[:3]] == ["past_due", "active", "past_due"]
    assert found[4].status_since == BEGIN + timedelta(seconds=4)
    assert len({id(state) for state in found[1::2]}) == 1
    assert found[1_000].status is Status.NONE
    assert known.unknown == 1
