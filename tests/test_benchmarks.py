"""The benchmark runs with one command, and what it prints are figures that can be."""

from __future__ import annotations

import json
import subprocess
import sys

SECTIONS = ("many", "holds", "batch", "size")


def test_a_short_run_measures_both_sides() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks",
            *SECTIONS,
            "--seconds",
            "1",
            "--rounds",
            "1",
            "--accounts",
            "50",
            "--json",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(done.stdout)
    figures = {figure["name"]: figure for figure in report["figures"] if figure["section"] == "many"}
    assert set(figures) == {
        "consume_credits",
        "consume_credits with a key",
        "two statements",
        "one statement",
    }
    assert all(figure["median"] > 10 for figure in figures.values())
    # One short round on a busy machine says little; what it must not say is that a spend is many times the floor.
    assert 0.1 < figures["consume_credits"]["ratios"]["two statements"] < 2
    assert report["cores"] >= 1
    sizes = {figure["name"]: figure["median"] for figure in report["figures"] if figure["section"] == "size"}
    assert len(sizes) in {9, 12}
    # What a spend leaves behind says the same on a busy machine.
    assert 0 < sizes["consume_credits with a key, compacted"] <= 740
    assert {figure["section"] for figure in report["figures"]} == {*SECTIONS}
