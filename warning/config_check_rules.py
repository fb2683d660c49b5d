"""What is wrong in region.yaml as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from phonenumbers import country_code_for_region

from warning.config_model import model_text
from warning.config_read import Files
from warning.config_schema import RegionFile
from warning.config_units import factor
from warning.errors import Problem
from warning.region import AlertRules, ForecastRules

LONGEST_ALERT_S = 81_000  # 22.5 h: what lasts longer is renewed by an Update


def check_rules(files: Files) -> Iterator[Problem]:
    """region.yaml: languages, partitions, bounds, classes, times and probabilities that contradict each other."""
    region = files.region
    if region is None:
        return
    if region.languages[0] != "en":
        yield Problem(files.where("languages", 0), f"{region.languages[0]!r} is first", "English is first: agencies elsewhere read it")
    if len(set(region.languages)) != len(region.languages):
        yield Problem(files.where("languages"), "a language stands twice", "remove one")
    for language in region.reviewed_languages:
        if language not in region.languages:
            yield Problem(files.where("reviewed_languages"), f"{language!r} is not one of languages", "add it there, or remove it here")
    for country in region.sms.countries:
        if not country_code_for_region(country):
            yield Problem(files.where("sms", "countries"), f"{country} is no country with telephone numbers", "ISO 3166-1, such as PK")
    if "en" not in region.names:
        yield Problem(files.where("names"), "no English name", "write en:")
    for basin, partition in region.basins.items():
        if not 0 <= partition < region.partitions:
            what = f"partition {partition} does not exist: there are {region.partitions}, counted from 0"
            yield Problem(files.where("basins", basin), what, "correct it, or partitions:")
    box = region.bounds
    if box.south >= box.north or box.west >= box.east:
        yield Problem(files.where("bounds"), "the bounds are empty", "south below north, west below east")
    for quantity, unit in region.display_units:
        try:
            factor(unit, quantity)
        except ValueError as error:
            what, _, fix = str(error).partition("; ")
            yield Problem(files.where("display_units", quantity), what, fix)
    yield from _class_names(files, region)
    yield from _alert(files, region)
    yield from _forecast(files, region)


def _class_names(files: Files, region: RegionFile) -> Iterator[Problem]:
    for level, names in region.classes.items():
        for language in region.languages:
            if language not in names:
                fix = "write it: a message would mix languages"
                yield Problem(files.where("classes", level.name), f"{level.name} has no name in {language!r}", fix)


def _alert(files: Files, region: RegionFile) -> Iterator[Problem]:
    if region.namespace.endswith(".manual"):
        yield Problem(files.where("namespace"), "alerts that people raise have that name", "another last part")
    rules = region.alert
    expires = rules.expires_after or AlertRules().expires_after_s
    renew = rules.renew_before or AlertRules().renew_before_s
    if expires > LONGEST_ALERT_S:
        yield Problem(
            files.where("alert", "expires_after"), "an alert may not live longer than 22.5 h", "it is renewed while the hazard lasts"
        )
    if renew >= expires:
        yield Problem(
            files.where("alert", "renew_before"), "an alert would be renewed before it is made", "renew_before is below expires_after"
        )
    if rules.approve_from is None and any(one is not None for one in (rules.approve_within, rules.unanswered, rules.approve_persons)):
        what = "approve_within, approve_persons and unanswered do nothing without approve_from"
        yield Problem(files.where("alert"), what, "write approve_from: CLASS, or remove them", False)


def _forecast(files: Files, region: RegionFile) -> Iterator[Problem]:
    needed = ForecastRules().probability if region.forecast.probability is None else region.forecast.probability
    keep = ForecastRules().probability_keep if region.forecast.probability_keep is None else region.forecast.probability_keep
    if keep > needed:
        what = f"probability_keep {keep:g} is above probability {needed:g}: expectations would flap"
        yield Problem(files.where("forecast", "probability_keep"), what, "keep is the smaller one")
    try:
        model_text(region.forecast.model, files.folder)
    except (OSError, UnicodeError) as error:
        what = f"the forecast model {region.forecast.model!r} cannot be read: {error}"
        yield Problem(files.where("forecast", "model"), what, "standard, none, or a file beside region.yaml made by `warning train`")
