from __future__ import annotations

import json
import subprocess
import sys
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonas_supabase.untrusted import MAX_DEPTH, read_json

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_not_deep_reads_as_the_standard_library_reads_it(value: Any) -> None:
    assert read_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text", ['"[[[{"', '"\\"' + "[" * 100 + '"', '{"a": "' + "{" * 100 + '"}', f"[{'[],' * 500}[]]"]
)
def test_brackets_in_strings_and_side_by_side_are_no_depth(text: str) -> None:
    assert read_json(text) == json.loads(text)


def test_the_deepest_that_is_read_and_one_more() -> None:
    assert read_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for begin, end in (("[", "]"), ('{"a":', "}")):
        deeper = begin * (MAX_DEPTH + 1) + "1" + end * (MAX_DEPTH + 1)
        assert json.loads(deeper)
        with pytest.raises(ValueError, match="deeper than"):
            read_json(deeper)


@pytest.mark.parametrize("text", ["", "[", '"', '"\\', "{]", "nul", '{"a"', "]" * 100])
def test_what_is_no_json_raises_what_the_standard_library_raises(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        read_json(text)


def test_deep_nesting_does_not_end_a_process_whose_recursion_limit_was_raised() -> None:
    program = (
        "import sys; sys.setrecursionlimit(10**6)\n"
        "from sonas_supabase.untrusted import read_json\n"
        "try: read_json('[' * 10**6)\n"
        "except ValueError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr


@pytest.mark.parametrize("piece", ['\\"', '"', "\\", '"\\"', "[]"])
def test_the_time_is_in_proportion_to_the_length(piece: str) -> None:
    def seconds(times: int) -> float:
        text, best = '"' + piece * times, float("inf")
        for _ in range(3):
            began = perf_counter()
            with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong with it, it takes this long
                read_json(text)
            best = min(best, perf_counter() - began)
        return best

    assert seconds(40_000) < 100 * max(seconds(2_000), 1e-4)
