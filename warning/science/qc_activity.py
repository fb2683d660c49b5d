"""How a series usually moves, and what departs from it: spikes, standstills, steps that stay. By its own past, reading by reading.

A fixed threshold fits one river at one pace of sampling. These tests scale with what the series did lately: ``usual`` is the mean change
from one reading to the next (exponential, over 48 readings), ``still`` the longest standstill (slowly forgotten).
"""

from __future__ import annotations

FIELDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "usual": ("f4", ()),  # mean change from reading to reading
    "usual_n": ("u1", ()),  # readings that it rests on, up to 255
    "still_s": ("f4", ()),  # longest standstill, slowly forgotten
    "shift_t": ("u4", ()),  # when the last great step came; 0: none is watched
    "shift_from": ("f4", ()),  # the level before it
    "shift_by": ("f4", ()),
    "shift_n": ("u1", ()),  # readings that stayed there since
    "shift_said": ("?", ()),  # it is called a datum shift
    "soft_t": ("u4", ()),  # newest reading that counts though it is suspect
}
