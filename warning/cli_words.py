"""``warning words``: what people would read in a language, with units and parts: on the terminal, or as a page for its reviewer."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warning.errors import ConfigError, Problem

if TYPE_CHECKING:
    from warning.alerts.message import Message
    from warning.alerts.specimen import Specimen
    from warning.region import Region

Name = Annotated[str, typer.Argument(help="name of a region, or the path of its folder")]
Language = Annotated[str, typer.Option("--language", "-l", help="en, ur, si, ps, sd, fa, ru, uz, zh or ta")]
Class = Annotated[str | None, typer.Option("--level", help="of this class only, such as HIGH; NORMAL: the end")]
OfZone = Annotated[str, typer.Option("--zone", help="of this zone; default: one of each hazard")]
Html = Annotated[Path | None, typer.Option("--html", help="write a page to look at into this file", dir_okay=False)]

_STYLE = """body{font:16px/1.5 sans-serif;margin:1rem auto;max-width:46rem;padding:0 1rem;background:#fff;color:#111}
section{border-top:1px solid #bbb;padding:.5rem 0}h2{font-size:1rem;margin:.3rem 0;color:#444}
p{margin:.3rem 0}.sms{background:#eef3f8;border-radius:.6rem;padding:.5rem .8rem;white-space:pre-wrap;overflow-wrap:anywhere}
.note{font-size:.8rem;color:#555}.draft{background:#fff3cd;padding:.5rem .8rem}"""


def words(region: Name, language: Language, level: Class = None, zone: OfZone = "", html_file: Html = None) -> None:
    """Print every text of a language as people would read it, with the units and parts of each SMS; drafts too."""
    from warning import config
    from warning.alerts.languages import DRAFT_LANGUAGES, LANGUAGES
    from warning.alerts.specimen import specimens
    from warning.model import Level

    found = config.load(region)
    known = {"NORMAL": Level.NORMAL, **{one.value: one for one in Level}}
    problems = [] if language in LANGUAGES else [Problem("--language", f"no texts in {language!r}", f"one of {', '.join(LANGUAGES)}")]
    if level is not None and level.upper() not in known:
        problems.append(Problem("--level", f"no class {level!r}", f"one of {', '.join(known)}"))
    if zone and zone not in found.zone_by_id:
        problems.append(Problem("--zone", f"no zone {zone!r} in {found.id}", "see stations.csv"))
    if problems:
        raise ConfigError(problems)
    texts = list(specimens(found, language, known[level.upper()] if level else None, zone))
    if html_file is not None:
        try:
            html_file.write_text("".join(_page(found, language, texts, language in DRAFT_LANGUAGES)), encoding="utf-8")
        except OSError as error:
            fix = "name a file in a folder that is there"
            raise ConfigError([Problem(f"--html {html_file}", f"cannot be written: {error.strerror}", fix)]) from error
        print(f"{html_file}: {len(texts)} revisions in {language}")
        return
    for line in _lines(texts):
        print(line)


def _lines(texts: Iterable[Specimen]) -> Iterator[str]:
    for one in texts:
        yield f"\n{one.zone}  {one.hazard}  {one.level.value}  {one.situation}"
        for role, said in _roles(one):
            yield f"  SMS {role}: {said.text}"
            yield f"    {said.encoding}, {said.units} units, {said.parts} parts{'' if said.complete else ', a name was cut'}"
        yield f"  headline: {one.headline}"
        yield f"  instruction: {one.instruction}"
        yield f"  description: {one.description}"


def _roles(one: Specimen) -> list[tuple[str, Message]]:
    """Each different SMS once, with the roles that get it."""
    by_text: dict[str, list[str]] = {}
    for role, said in one.sms.items():
        by_text.setdefault(said.text, []).append(role)
    return [(", ".join(roles), one.sms[roles[0]]) for roles in by_text.values()]


def _page(region: Region, language: str, texts: Iterable[Specimen], draft: bool) -> Iterator[str]:
    from warning.alerts.reasons import RIGHT_TO_LEFT

    way = "rtl" if language in RIGHT_TO_LEFT else "ltr"
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(region.id)}: {html.escape(language)}</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><h1>{html.escape(region.id)}: {language}</h1>'
    if draft:
        yield '<p class="draft">A draft: no native speaker of the agency has reviewed these texts.</p>'
    for one in texts:
        yield f"<section><h2>{html.escape(f'{one.zone} · {one.hazard} · {one.level.value} · {one.situation}')}</h2>"
        for role, said in _roles(one):
            yield f'<p class="note">SMS, {role}: {said.encoding}, {said.units} units, {said.parts} parts</p>'
            yield f'<p class="sms" lang="{language}" dir="{way}">{html.escape(said.text)}</p>'
        for text in (one.headline, one.instruction, one.description):
            yield f'<p lang="{language}" dir="{way}">{html.escape(text)}</p>'
        yield "</section>\n"
