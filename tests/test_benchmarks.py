"""The benchmark runs with one command, and what it prints are figures that can be."""

from __future__ import annotations

import json
import subprocess
import sys


def test_a_short_run_measures_both_sides() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "many", "--seconds", "1", "--rounds", "1", "--accounts", "200", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(done.stdout)
    figures = {figure["name"]: figure for figure in report["figures"]}
    assert set(figures) == {"consume_credits", "consume_credits with a key", "two statements", "one statement"}
    assert all(figure["median"] > 10 for figure in figures.values())
    # One short round on a busy machine says little; what it must not say is that a spend is many times the floor.
    assert 0.1 < figures["consume_credits"]["ratios"]["two statements"] < 2
    assert report["cores"] >= 1


def test_a_thousand_metered_rows_cost_in_proportion() -> None:
    """At most twenty times what the plain rows cost, and twice as many no more than their share."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "metering", "--rounds", "5", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    plain, once, twice = json.loads(done.stdout)["figures"]
    ratio = once["ratios"][plain["name"]]
    assert 0.5 < ratio < 20
    assert twice["ratios"][plain["name"]] < 4 * ratio
