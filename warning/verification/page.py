"""One page of a hindcast: its tables and figures in one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from warning.region import named
from warning.verification.assessment import Assessment
from warning.verification.figures import Picture, pictures
from warning.verification.official import Official

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 1150px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums }
.wide { overflow-x: auto }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left } th { background: #f3f5f7; position: sticky; top: 0 }
figure { margin: 1.2rem 0 } figure img { max-width: 100%; height: auto; border: 1px solid #e2e2e2 }
figcaption { color: #555; font-size: .86rem } .note { color: #555 }
"""
_WORDS = """An event is an upward crossing of a limit by a gauge that had been below it for 6 h. An alert is the moment from which a class
is said, if it had not been said for 6 h; it is false if no event follows within 24 h. Timely CSI at L hours: events warned at least L
hours ahead, over events and false alarms. Intervals: bootstrap by event. The pipeline saw each reading when it came, and nothing later."""


def write(folder: Path, found: Assessment, warnings: Sequence[Official], tables: Sequence[Any]) -> list[Path]:
    """Writes ``index.html`` and each figure as PNG into ``folder``; returns their paths, the page first.

    ``tables``: with title, columns and rows of words.
    """
    drawn = pictures(found, warnings)
    written = [folder / "index.html"]
    for picture in drawn:
        written.append(folder / f"{picture.name}.png")
        written[-1].write_bytes(picture.png)
    written[0].write_text(page(found, tables, drawn), encoding="utf-8")
    return written


def page(found: Assessment, tables: Sequence[Any], drawn: Sequence[Picture]) -> str:
    name = named(found.region.names, "en")
    first, last = (
        datetime.fromtimestamp(int(choose(int(choose(track.time_s)) for track in found.tracks.values())), UTC) for choose in (min, max)
    )
    body = [
        f"<h1>Hindcast: {html.escape(name)}</h1>",
        f'<p class="note">{first:%d %B %Y %H:%M} to {last:%d %B %Y %H:%M} UTC; {len(found.tracks)} gauges with limits. {_WORDS}</p>',
    ]
    body += [_table(table) for table in tables]
    body += ["<h2>Figures</h2>", *(_figure(picture) for picture in drawn)]
    head = f"<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>Hindcast: {html.escape(name)}</title>"
    view = '<meta name=viewport content="width=device-width, initial-scale=1">'
    return f"{head}{view}<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"


def _table(table: Any) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return f'<h2>{html.escape(table.title)}</h2><div class="wide"><table><tr>{head}</tr>{rows}</table></div>'


def _figure(picture: Picture) -> str:
    data, text = base64.b64encode(picture.png).decode(), html.escape(picture.text)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'
