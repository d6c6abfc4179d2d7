"""Whether a database has our text: every recorded statement stands in the file, character for character."""

from __future__ import annotations

import pytest

from sonas_supabase.migrations._text import first_difference

FILE = """\
-- A story.
create table a (b text);

-- Why.
insert into a values ('x;  y');
/* a block */ select 1;
"""
SPLIT = ["-- A story.\ncreate table a (b text)", "-- Why.\ninsert into a values ('x;  y')", "/* a block */ select 1"]
BARE = ["create table a (b text)", "insert into a values ('x;  y')", "select 1"]


@pytest.mark.parametrize("statements", [[FILE], SPLIT, BARE, [*SPLIT, ""], [FILE.replace("\n", "\r\n")]])
def test_the_same_text_however_it_was_split_is_no_difference(statements: list[str]) -> None:
    assert first_difference(FILE, statements) is None
    assert first_difference(FILE.replace("\n", "\r\n"), statements) is None


@pytest.mark.parametrize(
    ("statements", "line"),
    [
        ([SPLIT[0], SPLIT[1].replace("x;  y", "x; y"), SPLIT[2]], 5),
        ([SPLIT[0], SPLIT[1].replace("x;", "x"), SPLIT[2]], 5),
        ([SPLIT[0].replace("a (b", "a (c"), *SPLIT[1:]], 2),
        (SPLIT[:2], 6),
        ([SPLIT[0], SPLIT[2]], 4),
        ([SPLIT[1], SPLIT[0], SPLIT[2]], 1),
        ([*SPLIT, "select 2"], 7),
        ([SPLIT[0].replace("A story", "Another story"), *SPLIT[1:]], 1),
        ([], 2),
    ],
)
def test_one_changed_character_is_a_difference_and_its_line_is_told(statements: list[str], line: int) -> None:
    assert first_difference(FILE, statements) == line
