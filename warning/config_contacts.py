"""A row of contacts -> the noun, and what is wrong with it: one judge for ``contacts.csv`` and for ``warning contacts import``."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

import phonenumbers

from warning.config_explain import did_you_mean
from warning.config_read import Files
from warning.config_schema import ContactRow
from warning.config_table import Row
from warning.errors import Problem
from warning.region import Contact, Region, nobodys_email

REHEARSAL = "rehearsal:"  # rehearsal:NAME is the receiver NAME of the demo
EMAIL = re.compile(r"[^\s@<>\"(),:;\[\]]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}")
_PLAIN = {"phone", "email", "voice", "office", "rank", "village", "channels", "quiet", "control_room", "lat", "lon", "consent"}


def contact_of(row: ContactRow) -> Contact:
    """The noun of a good row."""
    districts = () if row.districts == ("*",) else row.districts
    more = {name: getattr(row, name) for name in _PLAIN}
    return Contact(
        row.id, row.name, row.role, row.language, districts, row.level, webhook=row.webhook, secret=row.secret, live=row.live, **more
    )


@dataclass(frozen=True, slots=True)
class Known:
    """What a contact is held against. ``exercise_numbers`` None: region.yaml cannot be read."""

    districts: Collection[str]
    languages: Collection[str]  # empty: likewise
    exercise_numbers: str | None

    @staticmethod
    def of(region: Region) -> Known:
        return Known(region.district_by_id.keys(), region.languages, region.exercise_numbers)


def check_contacts(files: Files) -> Iterator[Problem]:
    """contacts.csv: who cannot be reached, in which language, and whether an exercise could reach somebody."""
    region = files.region
    known = Known(files.districts.ids, region.languages if region else (), region.exercise_numbers if region else None)
    for row in files.contacts.rows:
        yield from check_contact(row, known)
    if region and region.status == "Actual" and files.contacts.rows and not any(row.data.live for row in files.contacts.rows):
        yield Problem(
            files.where("status"), "Actual, but no contact is live: nobody would be told", "set live to true, or status to Exercise"
        )


def check_contact(row: Row[ContactRow], known: Known) -> Iterator[Problem]:
    """What is wrong with one row, with its column and the fix."""
    contact = row.data
    for district in contact.districts:
        if district not in known.districts and contact.districts != ("*",):
            fix = did_you_mean(district, known.districts) or "add it to districts.csv, or write * alone for all"
            yield Problem(row.where("districts"), f"{district!r} is not in districts.csv", fix)
    if not contact.districts:
        yield Problem(row.where("districts"), "no district", "write a|b, or * for all")
    if known.languages and contact.language not in known.languages:
        what = f"no document is written in {contact.language!r}"
        yield Problem(row.where("language"), what, did_you_mean(contact.language, known.languages))
    if not contact.phone and not contact.webhook and not contact.email:
        yield Problem(row.where(), f"{contact.id} cannot be reached", "write a phone, an email or a webhook")
    yield from _phone(row, known.exercise_numbers)
    yield from _webhook(row)
    yield from _email(row)
    yield from _ways(row)


def _phone(row: Row[ContactRow], prefix: str | None) -> Iterator[Problem]:
    phone, live = row.data.phone, row.data.live
    if not phone:
        return
    if not re.fullmatch(r"\+[1-9]\d{6,14}", phone):
        yield Problem(row.where("phone"), f"{phone!r} is not an E.164 number", "write + country code number, no spaces, such as +92...")
        return
    if prefix is None:
        return
    if not live and not phone.startswith(prefix):
        what = f"{phone} can be dialled, but the contact is for exercises only"
        yield Problem(row.where("phone"), what, f"give it a number that begins with {prefix}, or set live to true")
    if live and phone.startswith(prefix):
        yield Problem(
            row.where("phone"), f"{phone} cannot be dialled, but the contact is live", "give it a real number, or set live to false"
        )
    elif live and (wrong := _wrong_number(phone)):
        yield Problem(row.where("phone"), wrong.what, wrong.fix, wrong.fatal)


@lru_cache(maxsize=4096)
def _wrong_number(phone: str) -> Problem | None:
    """By the numbering plan of its country. One that could be, but that the plan does not know as given out, is a warning: plans grow."""
    try:
        number = phonenumbers.parse(phone, None)
    except phonenumbers.NumberParseException:
        return Problem("phone", f"{phone} is not a possible number of its country", "count the digits")
    if not phonenumbers.is_possible_number(number):
        return Problem("phone", f"{phone} is not a possible number of its country", "count the digits")
    if phone != (whole := phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)):
        return Problem("phone", f"{phone} has a 0 after its country's code", f"write {whole}")
    if not phonenumbers.is_valid_number(number):
        return Problem("phone", f"{phone}: its country is not known to give out such numbers", "compare it with its owner", fatal=False)
    return None


def _webhook(row: Row[ContactRow]) -> Iterator[Problem]:
    webhook, live = row.data.webhook, row.data.live
    if not webhook:
        return
    if webhook.startswith(REHEARSAL):
        if live:
            yield Problem(row.where("webhook"), "a receiver of the demo cannot be live", "write its https:// address, or set live to false")
        elif not re.fullmatch(r"[a-z0-9-]+", webhook.removeprefix(REHEARSAL)):
            yield Problem(row.where("webhook"), f"{webhook!r} names no receiver", "write rehearsal:name")
    elif not is_https(webhook):
        yield Problem(
            row.where("webhook"), f"{webhook!r} is not an https:// address", "write one, or rehearsal:name for the demo's receiver"
        )
    if not is_signing_key(row.data.secret):
        yield Problem(row.where("secret"), "is not a signing key", "write whsec_ and 24 to 64 random bytes in base64, one key per receiver")


def _email(row: Row[ContactRow]) -> Iterator[Problem]:
    email = row.data.email
    if not email:
        return
    if not EMAIL.fullmatch(email):
        yield Problem(row.where("email"), f"{email!r} is not an e-mail address", "write name@host.country")
    elif not row.data.live and not nobodys_email(email):
        what = f"{email} can be written to, but the contact is for exercises only"
        yield Problem(row.where("email"), what, "give it an address at example.org (RFC 2606: nobody's), or set live to true")
    elif row.data.live and nobodys_email(email):
        yield Problem(row.where("email"), f"{email} is nobody's, but the contact is live", "give it a real address, or set live to false")


def _ways(row: Row[ContactRow]) -> Iterator[Problem]:
    contact = row.data
    addresses = {"sms": contact.phone, "voice": contact.phone, "card": contact.phone, "email": contact.email, "webhook": contact.webhook}
    for channel in contact.channels:
        if not addresses.get(channel, contact.webhook):
            yield Problem(row.where("channels"), f"{channel} has no address here", "write the address, or leave the channel out")
    if contact.channels and contact.voice and "voice" not in contact.channels:
        yield Problem(row.where("channels"), "voice is true, but not among the channels", "write it where it belongs in the order", False)
    if "voice" in contact.channels and not contact.voice:
        yield Problem(row.where("voice"), "a channel of it, but it may not be called", "set voice to true, or leave the channel out")
    if (contact.lat is None) != (contact.lon is None):
        yield Problem(row.where("lat"), "one half of a position", "write lat and lon, or neither")


def is_https(address: str) -> bool:
    """A URL that webhooks may go to, by its form."""
    try:
        parts = urlsplit(address)
        return parts.scheme == "https" and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def is_signing_key(secret: str) -> bool:
    """Standard Webhooks: ``whsec_`` and 24 to 64 bytes in base64."""
    try:
        return secret.startswith("whsec_") and 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64
    except (binascii.Error, ValueError):
        return False
