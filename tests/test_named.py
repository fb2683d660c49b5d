"""Names of a state's rows: as bytes beside the tables, found again under another configuration, and never copied by a checkpoint."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from warning.errors import ExitCode, StateError
from warning.pipeline.named import names, packed, pairs
from warning.pipeline.plan import Plan
from warning.pipeline.state import Given, State
from warning.stream.state import Frozen, unpack
from warning.wiring_bench_region import Size, made_up

FIELDS = {"next": 7, "writer": "w", "config": "c", "code": "k", "tick": "1:w"}


def test_the_same_names_need_no_search() -> None:
    mine = packed(["A/stage", "ب/stage"])
    assert mine.tobytes() == "A/stage\nب/stage\n".encode()
    assert pairs(mine, mine.copy(), 2) == (slice(None), slice(None))
    assert pairs(packed([]), packed([]), 0) == (slice(None), slice(None))


def test_rows_are_found_by_their_names() -> None:
    to, of = pairs(packed(["new", "C", "A"]), packed(["A", "B", "C"]), 3)
    assert (to.tolist(), of.tolist()) == ([1, 2], [2, 0])
    to, of = pairs(packed([]), packed(["A"]), 1)
    assert (to.size, of.size) == (0, 0)


def test_a_checkpoint_with_another_number_of_names_is_refused() -> None:
    with pytest.raises(StateError, match="2 names for 3 rows") as stopped:
        pairs(packed(["A"]), packed(["A", "B"]), 3)
    assert stopped.value.exit_code is ExitCode.CHECKPOINT_DIGEST


def test_all_rows_of_a_partition_have_their_name() -> None:
    plan = Plan.of(made_up(Size(25)), 0)
    found = {name: array.tobytes().decode().splitlines() for name, array in names(plan).items()}
    assert found["s.names"][:2] == ["G0000000/discharge", "G0000001/discharge"] and found["z.names"][24] == "G0000024"
    assert len(found["h.names"]) == plan.histories == 22  # all but the last of each river


def test_a_checkpoint_costs_no_second_copy_of_the_names() -> None:
    """What a generation needs beyond the state is a piece and a chunk, however long the names are."""
    state = State.empty(Plan.of(made_up(Size(3000)), 0))
    long = {name: np.tile(array, 300) for name, array in state.names.items()}  # 30 MB
    state.names = long
    tracemalloc.start()
    try:
        frozen = Frozen.of(state, {}, **FIELDS)
        blob_size = sum(len(value) for _, value in frozen.records())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        frozen.close()
    assert sum(array.nbytes for array in long.values()) > 30e6 and blob_size > 36e6
    assert peak < 15e6


def test_they_come_back() -> None:
    state = State.empty(Plan.of(made_up(Size(30)), 0))
    frozen = Frozen.of(state, {}, **FIELDS)
    chunks = b"".join(frozen.chunks())
    _, arrays = unpack(frozen.sealed(), chunks)
    assert all(np.array_equal(arrays[name], array) for name, array in state.names.items())


def test_what_was_read_for_it_alone_becomes_the_state_without_a_copy() -> None:
    plan = Plan.of(made_up(Size(30)), 0)
    old = State.empty(plan)
    old.s["last_v"][3] = 2.5
    head, arrays = old.freeze()
    copied = State.thaw(plan, head, arrays)
    assert not any(np.shares_memory(copied.tables[name], arrays[name]) for name in copied.tables)
    given = Given({name: array.copy() for name, array in arrays.items()})
    state = State.thaw(plan, head, given)
    assert all(state.tables[name] is given[name] for name in state.tables)
    state.s["last_v"][3] = 3.5  # the views are of these tables
    assert given["s.course"]["last_v"][3] == 3.5 and old.s["last_v"][3] == 2.5 and state.deadline_ms == copied.deadline_ms
    fixed = Given({name: array.copy() for name, array in arrays.items()})
    for array in fixed.values():
        array.flags.writeable = False
    assert not any(state is one for state in State.thaw(plan, head, fixed).tables.values() for one in fixed.values())
    fewer = State.thaw(Plan.of(made_up(Size(20)), 0), head, given)
    assert fewer.s["last_v"].shape == (20,) and fewer.s["last_v"][3] == 3.5
