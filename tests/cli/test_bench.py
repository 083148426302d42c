"""``calotype bench``: figures of calls that were made, beside what they depend on."""

from __future__ import annotations

import json

import pytest
import torch

import calotype


@pytest.fixture
def steps(monkeypatch):
    """The steps that were walked, each as the number of pictures in it."""
    tell, walked = calotype.DDIMScheduler.step, []
    monkeypatch.setattr(
        calotype.DDIMScheduler,
        "step",
        lambda self, prediction, *rest, **more: walked.append(len(prediction)) or tell(self, prediction, *rest, **more),
    )
    return walked


def test_it_measures_after_a_call_that_is_not_counted(run, model, steps):
    done = run(
        "bench", "-m", model, "--size", "32x48", "--steps", 3, "--batch", 2, "--rounds", 2, "--device", "cpu", "--json"
    )
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert steps == [2] * 3 * (1 + 2)
    expected = {"device": "cpu", "dtype": "float32", "size": "32x48", "batch": 2, "steps": 3, "rounds": 2}
    assert {name: told[name] for name in expected} == expected
    assert told["threads"] == torch.get_num_threads() and told["scheduler"] == "DDIMScheduler"
    assert told["pictures a minute"] == pytest.approx(60 * 2 / told["seconds a call"])
    assert 0 < told["seconds a step"] < told["seconds a call"] and told["seconds to load"] > 0
    assert told["peak memory of the process"] > 2**20 and told["peak memory of the accelerator"] is None


def test_for_people_it_is_a_table(run, model):
    said = run("bench", "-m", model, "--size", "32x32", "--steps", 2, "--rounds", 1, "--dtype", "bfloat16").stdout
    rows = {name: value.strip() for name, value in (line.split("  ", 1) for line in said.splitlines())}
    assert rows["dtype"] == "bfloat16" and rows["peak memory of the process"].endswith("B")
    assert "None" not in said and float(rows["seconds a step"]) > 0


def test_wrong_usage_is_said_before_anything_is_measured(run, model, steps):
    for words, told in {
        ("--steps", 1): "--steps",
        ("--size", "33x32"): "33",
        ("--guidance", "nan"): "guidance",
    }.items():
        done = run("bench", "-m", model, *words)
        assert done.exit_code == 2 and told in done.stderr and not steps
