"""Whatever a hand or a disk does to a region's files: `check` answers with problems, and `load` gives a region or a ConfigError."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from regions import FILES, write_region

from warning import config
from warning.errors import ConfigError

PIECES = st.sampled_from(
    [
        "",
        ",",
        '"',
        "\n",
        ":",
        "{",
        "}",
        "[",
        "]",
        "#",
        "-",
        "0",
        "nan",
        "1e999",
        "é",
        "|",
        "*",
        "\x00",
        "\ufeff",
        "null",
        "&a",
        "*a",
        "D",
        "\t",
    ]
)


@settings(max_examples=150, deadline=None)
@given(key=st.sampled_from(sorted(FILES)), at=st.floats(0, 1), length=st.integers(0, 12), piece=st.one_of(PIECES, st.text(max_size=6)))
def test_no_edit_makes_the_check_fail_itself(key: str, at: float, length: int, piece: str) -> None:
    name, text = FILES[key]
    start = round(at * len(text))
    with tempfile.TemporaryDirectory() as place:
        folder = write_region(Path(place))
        (folder / name).write_bytes((text[:start] + piece + text[start + length :]).encode("utf-8", "surrogatepass"))
        fatal = [problem for problem in config.check(folder) if problem.fatal]
        assert all(problem.where.startswith(str(folder)) and problem.what for problem in fatal)
        try:
            region = config.load(folder)
        except ConfigError as error:
            assert error.problems == fatal != []
        else:
            assert fatal == []
            assert len(region.zones) == len({zone.id for zone in region.zones})
