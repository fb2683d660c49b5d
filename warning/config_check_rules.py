"""What is wrong in region.yaml as a whole, and with the contacts."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import phonenumbers

from warning.config_model import model_text
from warning.config_read import Files, Row, did_you_mean
from warning.config_schema import ContactRow, RegionFile
from warning.config_units import factor
from warning.errors import Problem
from warning.region import AlertRules, ForecastRules

LONGEST_ALERT_S = 81_000  # 22.5 h: what lasts longer is renewed by an Update
REHEARSAL = "rehearsal:"  # rehearsal:NAME is the receiver NAME of the demo


def check_rules(files: Files) -> Iterator[Problem]:
    """region.yaml: languages, partitions, bounds, classes, times and probabilities that contradict each other."""
    region = files.region
    if region is None:
        return
    if region.languages[0] != "en":
        yield Problem(files.where("languages", 0), f"{region.languages[0]!r} is first", "English is first: agencies elsewhere read it")
    if len(set(region.languages)) != len(region.languages):
        yield Problem(files.where("languages"), "a language stands twice", "remove one")
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
    if rules.approve_from is None and (rules.approve_within is not None or rules.unanswered is not None):
        what = "approve_within and unanswered do nothing without approve_from"
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


# --- contacts


def check_contacts(files: Files) -> Iterator[Problem]:
    """contacts.csv: who cannot be reached, in which language, and whether an exercise could reach somebody."""
    for row in files.contacts.rows:
        contact = row.data
        for district in contact.districts:
            if district not in files.districts.ids and contact.districts != ("*",):
                fix = did_you_mean(district, files.districts.ids) or "add it to districts.csv, or write * alone for all"
                yield Problem(row.where("districts"), f"{district!r} is not in districts.csv", fix)
        if not contact.districts:
            yield Problem(row.where("districts"), "no district", "write a|b, or * for all")
        if files.region and contact.language not in files.region.languages:
            what = f"no document is written in {contact.language!r}"
            yield Problem(row.where("language"), what, did_you_mean(contact.language, files.region.languages))
        if not contact.phone and not contact.webhook:
            yield Problem(row.where(), f"{contact.id} cannot be reached", "write a phone or a webhook")
        yield from _phone(files, row)
        yield from _webhook(row)
    if files.region and files.region.status == "Actual" and files.contacts.rows and not any(row.data.live for row in files.contacts.rows):
        yield Problem(
            files.where("status"), "Actual, but no contact is live: nobody would be told", "set live to true, or status to Exercise"
        )


def _phone(files: Files, row: Row[ContactRow]) -> Iterator[Problem]:
    phone, live = row.data.phone, row.data.live
    if not phone:
        return
    if not re.fullmatch(r"\+[1-9]\d{6,14}", phone):
        yield Problem(row.where("phone"), f"{phone!r} is not an E.164 number", "write + country code number, no spaces, such as +92...")
        return
    prefix = files.region.exercise_numbers if files.region else None
    if prefix is None:
        return
    if not live and not phone.startswith(prefix):
        what = f"{phone} can be dialled, but the contact is for exercises only"
        yield Problem(row.where("phone"), what, f"give it a number that begins with {prefix}, or set live to true")
    if live and phone.startswith(prefix):
        yield Problem(
            row.where("phone"), f"{phone} cannot be dialled, but the contact is live", "give it a real number, or set live to false"
        )
    elif live and not _possible(phone):
        yield Problem(row.where("phone"), f"{phone} is not a possible number of its country", "count the digits")


def _possible(phone: str) -> bool:
    try:
        return bool(phonenumbers.is_possible_number(phonenumbers.parse(phone, None)))
    except phonenumbers.NumberParseException:
        return False


def _webhook(row: Row[ContactRow]) -> Iterator[Problem]:
    webhook, live = row.data.webhook, row.data.live
    if not webhook:
        return
    if webhook.startswith(REHEARSAL):
        if live:
            yield Problem(row.where("webhook"), "a receiver of the demo cannot be live", "write its https:// address, or set live to false")
        elif not re.fullmatch(r"[a-z0-9-]+", webhook.removeprefix(REHEARSAL)):
            yield Problem(row.where("webhook"), f"{webhook!r} names no receiver", "write rehearsal:name")
    elif not _https(webhook):
        yield Problem(
            row.where("webhook"), f"{webhook!r} is not an https:// address", "write one, or rehearsal:name for the demo's receiver"
        )
    if not _signing_key(row.data.secret):
        yield Problem(row.where("secret"), "is not a signing key", "write whsec_ and 24 to 64 random bytes in base64, one key per receiver")


def _https(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme == "https" and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def _signing_key(secret: str) -> bool:
    """Standard Webhooks: ``whsec_`` and 24 to 64 bytes in base64."""
    try:
        return secret.startswith("whsec_") and 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64
    except (binascii.Error, ValueError):
        return False
