"""One folder of ``config/`` -> one frozen Region. With its ``config_*`` modules the only place that reads configuration files.

What the files hold: ``config/README.md``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from warning.config_build import build
from warning.config_check import check_all
from warning.config_kept import Kept
from warning.config_rain import catchments
from warning.config_read import read
from warning.config_shape import polygons
from warning.errors import ConfigError, Problem
from warning.region import Region

Also = Callable[[Region], list[Problem]]


def find(name: str | os.PathLike[str]) -> Path:
    """The folder of a region: a path, or a name in $WARNING_CONFIG, ``./config``, the checkout or the wheel, in this order.

    Raises ConfigError that says where was looked.
    """
    path = Path(name)
    package = Path(__file__).resolve().parent
    places = [path]
    if len(path.parts) == 1:
        own = os.environ.get("WARNING_CONFIG")
        roots = [*([Path(own)] if own else []), Path("config"), package.parent / "config", package / "regions"]
        places += [root / path for root in roots]
    for place in places:
        if (place / "region.yaml").is_file():
            return place
    looked = ", ".join(map(str, dict.fromkeys(places)))
    raise ConfigError(
        [Problem(str(name), f"no region there: no region.yaml in {looked}", "give a region's name or the path of its folder")]
    )


def load(path_or_name: str | os.PathLike[str], kept_in: Path | None = None) -> Region:
    """The region of that folder or name (see ``find``). Raises ConfigError with all fatal problems.

    ``kept_in``: where a large one is kept as it was built, for the next start; see ``config_kept``.
    """
    folder = find(path_or_name)
    kept = None if kept_in is None else Kept.of(folder, kept_in)
    if kept is not None and (known := kept.region()) is not None:
        return known
    region, problems = _try(folder)
    fatal = [problem for problem in problems if problem.fatal]
    if region is None or fatal:
        raise ConfigError(fatal)
    if kept is not None:
        kept.keep(region)
    return region


def check(path_or_name: str | os.PathLike[str], also: Sequence[Also] = ()) -> list[Problem]:
    """Every problem of a region's folder, fatal ones and warnings, in the order of the files.

    ``also``: further checks on the region, run if it can be built. The command line hands in those that need ``alerts``, such as
    "no message over its budget of SMS segments", because ``config`` may not import it.
    """
    try:
        folder = find(path_or_name)
    except ConfigError as error:
        return error.problems
    region, problems = _try(folder)
    if region is not None:
        problems = problems + [problem for one in also for problem in one(region)]
    return problems


def _try(folder: Path) -> tuple[Region | None, list[Problem]]:
    files, problems = read(folder)
    problems += check_all(files)
    if any(problem.fatal for problem in problems):
        return None, problems
    shapes, more = polygons(files)
    land, wrong = catchments(files, shapes)
    more += wrong
    problems += more
    if any(problem.fatal for problem in more):
        return None, problems
    return build(files, shapes, land), problems
