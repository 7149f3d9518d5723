"""A short form of the benchmark: every server is the one that is meant, and did what is counted."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.domain.modes import Ceiling
from sidecar.policy.load import load as load_policies
from tests.benchmarks import __main__ as bench
from tests.benchmarks import load, readme, workers
from tests.benchmarks.beside import LIBRARY
from tests.benchmarks.claim import Show
from tests.benchmarks.contestants import (
    ECHO,
    EXACT,
    LEASED,
    RULES,
    SUBJECTS,
    TITLES,
    USUAL,
    WORKERS,
    Arena,
    Contestant,
)
from tests.benchmarks.cores import listens, places
from tests.benchmarks.load import Crowd
from tests.benchmarks.open_loop import Client
from tests.benchmarks.parts import Phase
from tests.benchmarks.rooms import HTTP, KERNEL, POLICY, ROAD, counted, entered
from tests.benchmarks.rooms import PARTS as SAMPLED
from tests.benchmarks.rounds import BOTH, CHECKS, Mismatch, Round, alternate, closed, open_loop
from tests.benchmarks.shows import Measured, Start, shows_of

ROUND = Round(
    requests=1_000, rate=500.0, p50=1.0, p99=4.0, p999=6.0, most=9.0, server_us=60.0,
    redis_us=50.0, client_us=20.0, calls=1.0, resident_mb=60.0,
)  # fmt: skip


SHORT = (
    "--rounds", "1", "--seconds", "0.7", "--half-rounds", "1", "--half-seconds", "0.4",
    "--starts", "1", "--users", "50",
)  # fmt: skip


def test_every_server_is_measured_and_every_claim_has_its_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # How fast each is on a busy machine is for a person to read, not for a test.
    servers = (ECHO, EXACT, LEASED, USUAL)

    measured = bench.main(["--only", *servers, bench.HALF, bench.STARTS, *SHORT])
    in_markdown = "\n".join(readme.figures_of(measured))

    shown = capsys.readouterr().out
    assert list(measured.closed) == list(servers)
    assert list(measured.half) == [ECHO, EXACT]
    assert all(TITLES[row] in shown for row in servers)
    assert places().told in shown
    assert measured.half[EXACT][0].calls == 1.0
    assert measured.closed[ECHO][0].calls == 0.0
    assert shown.count("(goal ") == len(shows_of(measured)) == 9
    assert all(f"| {each.what} | {each.found} |" in in_markdown for each in shows_of(measured))
    assert all(f"| {TITLES[row]} |" in in_markdown for row in servers)


def test_every_part_of_the_server_is_seen_at_work(capsys: pytest.CaptureFixture[str]) -> None:
    measured = bench.main(["--only", bench.PARTS, LIBRARY, *SHORT])

    # If code moved, some part would stand empty.
    both, checks = measured.parts[BOTH], measured.parts[CHECKS]
    assert all(both.shares[part] + checks.shares[part] > 0 for part in SAMPLED), measured.parts
    assert sum(checks.ways.values()) == pytest.approx(checks.shares[POLICY])
    assert list(measured.alone) == [LIBRARY]
    assert "policy part of a check's CPU" in capsys.readouterr().out


def test_a_round_is_no_figure_if_redis_did_something_else(tmp_path: Path) -> None:
    with Arena(tmp_path, users=10, program=()) as arena:
        server = arena.begin(EXACT)

        assert open_loop(server, 100, 0.5).calls == 1.0
        with pytest.raises(Mismatch, match="calls of scripts"):
            open_loop(replace(server, calls=2), 100, 0.5)


def test_a_round_is_no_figure_if_the_server_refuses(tmp_path: Path) -> None:
    with Arena(tmp_path, users=10) as arena:
        server = arena.begin(ECHO)
        loads = load.write(tmp_path / "loads" / str(server.users), Crowd(10)).parent
        pieces = loads / str(server.users) / "requests.lua"
        pieces.write_text(pieces.read_text().replace("/v1/check", "/v1/nothing"))

        with pytest.raises(Mismatch, match="answers that are none"):
            closed(server, loads, 1)


def test_a_round_that_is_no_figure_is_repeated_and_told_of() -> None:
    server = Contestant(ECHO, "http://127.0.0.1:1", 0)
    told: list[str] = []
    always = [Mismatch("always")] * 3
    tries: Iterator[Mismatch | Round] = iter([Mismatch("one answer too few"), ROUND, *always])

    def measure(_: Contestant) -> Round:
        found = next(tries)
        if isinstance(found, Mismatch):
            raise found
        return found

    assert alternate([server], 1, measure, told.append) == {ECHO: [ROUND]}
    assert told[0] == "a round is no figure and is repeated: one answer too few"
    with pytest.raises(Mismatch, match="always"):
        alternate([server], 1, measure, told.append)


def test_a_port_belongs_to_the_process_that_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        assert listens(os.getpid(), port)
        with subprocess.Popen(["sleep", "60"]) as other:
            assert not listens(other.pid, port)
            other.kill()
        server.close()
        assert not listens(os.getpid(), port)


def test_a_server_that_stands_still_is_charged_for_all_that_was_due_meanwhile() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            taken, _ = server.accept()
            with taken:
                for _ in range(10):
                    taken.recv(65_536)
                    # Each takes five times as long as there is until the next one is due.
                    paused.wait(0.05)
                    taken.sendall(answer)

        paused = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        client = Client(f"http://127.0.0.1:{port}", connections=1, crowd=Crowd(10))
        told = client.drive(rate=100, count=10)
        client.close()
        thread.join()

    # The last was due after 90 ms, and nine others of 50 ms stood before it.
    assert told.requests == 10
    assert told.most >= (10 * 50 - 90) * 1_000
    assert told.slow >= 9


def test_the_reference_policies_are_of_20_rules_5_plans_and_3_limits_each() -> None:
    policies = load_policies(load.POLICIES, ceiling=Ceiling.RAISED)

    assert [plan.id for plan in policies.plans] == list(load.PLANS)
    assert all(len(plan.limits) == 3 for plan in policies.plans)
    assert len(policies.rules) == 20


def test_a_few_users_ask_much_and_all_bodies_have_one_length() -> None:
    turns = Crowd().turns
    sizes = {len(load.body_of(load.RUNS[0], user)) for user in turns[:1_000]}

    assert 0.10 < turns.count(0) / len(turns) < 0.16
    assert len(set(turns)) > 900
    assert len(sizes) == 1
    assert {load.plan_of(user) for user in range(load.USERS)} == set(load.PLANS)


def test_what_is_slower_than_claimed_is_missed() -> None:
    echo = replace(ROUND, rate=1_000.0, calls=0.0)
    good, bad = replace(ROUND, rate=650.0), replace(ROUND, rate=590.0)
    slow = replace(ROUND, slow=3, p99=9.0)

    def verdicts(exact: Round, half: Round, start: Start) -> list[bool | None]:
        measured = Measured(
            {ECHO: [echo], EXACT: [exact], RULES: [exact]},
            {ECHO: [echo], EXACT: [half]},
            [start],
            {CHECKS: Phase(1_000, 60.0, 40.0, {POLICY: 0.05})},
        )
        return [show.is_met for show in shows_of(measured)]

    assert verdicts(good, ROUND, Start(0.9, 70.0)) == [True] * 9
    assert verdicts(bad, slow, Start(1.6, 81.0)) == [
        False, True, True, True, False, True, False, False, False,
    ]  # fmt: skip


def test_two_workers_are_untold_of_where_there_are_too_few_cores() -> None:
    # A request takes 60 µs of the worker, 50 of Redis and 20 of the client.
    there = len(places().all)
    elsewhere = replace(ROUND, others=0.5 * there)
    busy, idle = (replace(ROUND, rate=part * there / 130e-6) for part in (0.7, 0.3))

    def of(one: Round, times: float) -> Show:
        two = replace(one, rate=times * one.rate)
        return workers.show_of({EXACT: [one], WORKERS: [two]})

    assert [of(one, times).is_met for one in (busy, idle) for times in (1.8, 1.4)] == [
        True, None, True, False,
    ]  # fmt: skip
    assert of(replace(elsewhere, rate=idle.rate), 1.4).is_met is None
    assert f"of {there} cores; 1.7 times needs {0.7 * 1.7 * there:.2f} of" in of(busy, 1.4).found
    assert str(of(busy, 1.4)).startswith("UNTOLD")


def test_memory_of_each_of_many_subjects_is_told_beside_their_claim() -> None:
    told = {SUBJECTS: {"bytes a subject": 2_099.4}}

    _, show = shows_of(Measured({EXACT: [ROUND], SUBJECTS: [ROUND]}, told=told))[::-1]

    assert show.found == "1.00 (1.00-1.00); 2,099 bytes a subject"


def test_connections_take_turns_lest_an_idle_one_is_hung_up() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    counts = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(taken: socket.socket) -> None:
            with taken:
                count = 0
                while taken.recv(65_536):
                    taken.sendall(answer)
                    count += 1
                counts.append(count)

        client = Client(
            f"http://127.0.0.1:{server.getsockname()[1]}", connections=4, crowd=Crowd(10)
        )
        threads = [threading.Thread(target=serve, args=server.accept()[:1]) for _ in range(4)]
        for thread in threads:
            thread.start()
        client.drive(rate=200, count=40)
        client.close()
        for thread in threads:
            thread.join()

    # Ten each, but for answers that overtake others.
    assert sum(counts) == 40
    assert min(counts) >= 5


def test_figures_stand_between_their_marks_in_the_readme(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    marks = [f"<!-- figures of make bench: {mark} -->" for mark in ("begin", "end")]
    file.write_text("\n".join(["before", marks[0], "old", marks[1], "after", ""]))

    readme.put("make bench", ["one", "two"], file)

    assert file.read_text().splitlines() == ["before", marks[0], "one", "two", marks[1], "after"]
    with pytest.raises(AssertionError, match="no place for make dust"):
        readme.put("make dust", [], file)


def test_a_sample_counts_for_the_innermost_code_that_belongs_somewhere() -> None:
    server = "thread (7): MainThread;serve (/x/sidecar/cli/serve.py)"
    protocol = "data_received (/x/site-packages/uvicorn/protocols/http/httptools_impl.py)"
    check = "check (/x/sidecar/pdp.py)"
    stacks = [
        f"{server} 5",
        f"{server};{protocol};__init__ (/x/lib/python3.11/asyncio/events.py) 4",
        f"{server};{protocol};{check};resolve (/x/sidecar/policy/snapshot.py);of (<cel>) 3",
        f"{server};{protocol};{check};of (/x/sidecar/domain/request.py) 2",
        "thread (9): spool_0;_worker (/x/lib/python3.11/concurrent/futures/thread.py) 9",
    ]

    assert counted(stacks) == {KERNEL: 5, HTTP: 4, POLICY: 3, ROAD: 2}
    assert entered(stacks, POLICY) == {"resolve": 3}
