"""The benchmarks run: on tiny networks, without a word about who is faster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("diffusers")

from benchmarks import records
from benchmarks.__main__ import main
from benchmarks.question import Answer, Goal, Question, ask, fresh

pytestmark = pytest.mark.filterwarnings("ignore")  # the peer's are not ours to mend


def seven() -> float:
    return 7.0


def test_quick_questions_in_one_process_are_answered_and_not_recorded(capsys, monkeypatch):
    kept = []
    monkeypatch.setattr(records, "keep", kept.append)
    main(["step", "decode", "end_to_end", "--quick"])
    said = capsys.readouterr().out
    assert all(f"{name}" in said for name in ("UNet step", "VAE decode", "a call of 2 steps"))
    assert not kept


def test_films_are_measured_against_the_peers(capsys):
    main(["helios", "--quick"])
    said = capsys.readouterr().out
    assert all(name in said for name in ("a chunk, tiny", "2 chunks as they come", "a film of 2 chunks"))


def test_a_fresh_process_answers_with_a_number_and_says_why_not():
    assert fresh(seven)() == 7.0
    with pytest.raises(RuntimeError, match="positional argument"):
        fresh(seven, "one too many")()


def test_sides_take_turns_and_warm_rounds_do_not_count():
    asked = []
    sides = {side: lambda side=side: asked.append(side) or float(len(asked)) for side in ("ours", "peer")}
    answer = ask(Question("turns", "s", sides, Goal(), rounds=2, warm=1), quick=False)
    assert asked == ["ours", "peer", "peer", "ours", "ours", "peer"]
    assert (answer.ours, answer.theirs) == ([4.0, 5.0], [3.0, 6.0])


@pytest.mark.parametrize(("goal", "met"), [(Goal(), False), (Goal(1.5), True), (Goal(plus=1.0), True)])
def test_a_goal_is_met_or_missed(goal: Goal, met: bool):
    assert Answer("seconds", "s", "peer", [3.0], [2.0], goal.times, goal.plus).met is met


def test_the_newest_answers_of_one_machine_stand_side_by_side(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(records, "RECORDS", tmp_path)
    here, elsewhere = {"cpu": "mine", "torch": "2"}, {"cpu": "yours", "torch": "2"}
    told = [("2026-01-03", here, {"a": 3}), ("2026-01-01", here, {"a": 1, "b": 1}), ("2026-01-02", elsewhere, {"c": 2})]
    for date, machine, answers in told:
        (tmp_path / f"{date}.json").write_text(json.dumps({"date": date, "machine": machine, "answers": answers}))
    shown = {"date": "2026-01-01 to 2026-01-03", "machine": here, "answers": {"a": 3, "b": 1}}
    assert records.newest() == shown


def test_the_newest_record_becomes_the_readmes_table(tmp_path: Path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{records.BEGIN}\nold\n{records.END}\nafter\n")
    monkeypatch.setattr(records, "README", readme)
    monkeypatch.setattr(records, "RECORDS", tmp_path)
    path = records.keep(Answer("a step", "s", "peer", [1.0], [2.0], 1.0, 0.0))
    records.keep(Answer("a load", "s", "peer", [3.0], [2.0], 1.0, 0.0))
    assert list(json.loads(path.read_text())["answers"]) == ["a step", "a load"]
    records.renew_readme()
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| a step | 1.000 s | 2.000 s | 0.50 | ≤ 1 x, met |" in text
