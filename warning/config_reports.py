"""``reports:`` of ``routes.yaml``: where each SMS centre leaves its report of what became of our messages.

::

    reports:
      - {route: jazz, folder: /srv/reports/jazz, columns: {message_id: MSGID}, states: {OK: delivered, NOK: failed}}
      - {route: zong, url: "https://smsc.example.net/cdr/{date}.csv", authorization: "env:ZONG_REPORTS", after: "03:00"}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from warning.config_agency import Strict
from warning.config_sources import Reference
from warning.errors import Problem
from warning.routes import Report


def _minute(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError(f"{text!r} is no time of the day; write one such as 03:30, local time")
    return text


def _url(text: str) -> str:
    parts = urlsplit(text)
    local = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme not in (("https", "http") if local else ("https",)) or not parts.hostname or parts.username is not None:
        raise ValueError(f"{text!r} is no https:// address; a password stands under authorization:")
    if set(re.findall(r"{(.*?)}", text)) - {"date"}:
        raise ValueError(f"{text!r}: {{date}} is all that may be left open: yesterday, as 2027-08-31")
    return text


class ReportModel(Strict):
    """``route`` "": the deployment's own centre."""

    route: str = ""
    folder: str = ""
    url: Annotated[str, AfterValidator(lambda text: _url(text) if text else "")] = ""
    authorization: Reference | None = None
    after: Annotated[str, AfterValidator(_minute)] = "03:00"
    columns: dict[Literal["message_id", "state"], Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    states: dict[str, Literal["delivered", "failed", "pending"]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_place(self) -> ReportModel:
        if bool(self.folder) == bool(self.url):
            raise ValueError("a report is taken from one place: folder or url")
        return self


def reports(
    models: Collection[ReportModel], routes: Collection[str], where: str, secret: Callable[[str | None, str], str], problems: list[Problem]
) -> tuple[Report, ...]:
    """``routes``: names of those by SMS. ``secret``: of a reference, and where it stands."""
    made: list[Report] = []
    for number, model in enumerate(models):
        place = f"{where} (reports.{number})"
        if model.route and model.route not in routes:
            problems.append(Problem(place, f"{model.route!r} is no route by SMS", f"one of {', '.join(sorted(routes)) or 'none'}"))
        if any(one.route == model.route for one in made):
            problems.append(Problem(place, f"two reports of {model.route or 'the own centre'}", "a folder may hold several files"))
        hour, _, minute = model.after.partition(":")
        authorization = secret(model.authorization, place) if model.authorization else ""
        columns = {str(name): given for name, given in model.columns.items()}
        made.append(Report(model.route, model.folder, model.url, authorization, int(hour) * 60 + int(minute), columns, dict(model.states)))
    return tuple(made)
