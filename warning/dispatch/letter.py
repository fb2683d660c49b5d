"""A warning as an e-mail: text and HTML in the contact's language, right to left where it is written so, the CAP document attached."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape

from warning.alerts import hand_words, message
from warning.alerts.display import class_name, hazard_of, local_time, phrases, place
from warning.alerts.lifecycle import chain_of
from warning.dispatch.channel import Sending
from warning.dispatch.look import ground, ink, right_to_left
from warning.model import Alert, Level
from warning.region import Region, named
from warning.routes import MailRoute

FONTS = {
    "ur": "'Noto Nastaliq Urdu','Jameel Noori Nastaleeq','Urdu Typesetting','Noto Naskh Arabic',serif",
    "": "'Noto Sans','Noto Sans Arabic','Noto Naskh Arabic','Noto Sans Sinhala','Noto Sans Tamil',Arial,sans-serif",
}
PAGE = """\
<!doctype html>
<html lang="{language}" dir="{direction}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{headline}</title></head>
<body style="margin:0;background:#eef1f4;color:#16202a;font-family:{fonts};line-height:{leading}">
<div style="max-width:640px;margin:0 auto;background:#fff">
<div style="background:{ground};color:{ink};padding:20px 24px">
<div style="font-size:16px">{mark}{sender}</div>
<div style="font-size:26px;font-weight:bold">{level}</div>
<div style="font-size:20px">{place} · <bdi>{time}</bdi></div></div>
<div style="padding:20px 24px">
<p style="font-size:21px;font-weight:bold;margin:0 0 12px">{instruction}</p>
<p style="font-size:16px;margin:0 0 12px">{description}</p>
<p style="font-size:13px;color:#5a6875;margin:0;font-family:Arial,sans-serif"><bdi dir="ltr">{identifier}</bdi></p>{answer}
</div></div></body></html>
"""


def letter(sending: Sending, region: Region, route: MailRoute, address: str, code: str = "") -> EmailMessage:
    """The mail of one delivery; ``code`` confirms it, "": the document's own.

    Its Message-ID is the same for every attempt, so that a mailbox shows a doubled one once; what an operator had sent again has its own.
    """
    event, language = sending.event, phrases(sending.language).language
    alert, domain = event.alert, route.sender.rpartition("@")[2].rstrip("> ") or "localhost"
    mail = EmailMessage(policy=SMTP)
    mail["From"] = route.sender
    mail["To"] = address
    again = hand_words.again(language) if sending.resent else ""
    subject = message.headline(alert, region, language) + (f" ({again.rstrip('.。۔')})" if again else "")
    mail["Subject"] = " ".join(subject.split())  # a name may hold a line's end, a header may not
    mail["Date"] = format_datetime(datetime.fromtimestamp(alert.sent_ms / 1000, UTC))
    mail["Message-ID"] = f"<{message_id(sending)}@{domain}>"
    thread = hashlib.blake2b(f"{chain_of(alert.identifier)} {sending.contact.id}".encode(), digest_size=8).hexdigest()
    mail["References"] = f"<{thread}@{domain}>"  # the mails of one chain stand together
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers
    if alert.active and alert.level >= Level.HIGH:
        mail["Importance"] = "high"
    if route.unsubscribe:
        mail["List-Unsubscribe"] = f"<{route.unsubscribe}>"
        if route.unsubscribe.startswith("https:"):
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
    mail.set_content(plain(alert, region, language, sending.acknowledge, code, again), cte="base64")
    mail.add_alternative(page(alert, region, language, sending.acknowledge, code, again), subtype="html", cte="base64")
    if event.cap:
        name = f"{alert.identifier}.cap.xml"
        mail.add_attachment(event.cap.encode(), maintype="application", subtype="cap+xml", filename=name)
    mail["Content-Language"] = language  # at the end: each part that is added takes such a header of the whole with it
    return mail


def message_id(sending: Sending) -> str:
    """Delivery, and what it is about: numbers begin anew with another database. Another one for what is sent again, or a mailbox would
    show nothing; it stands in the same thread."""
    about = f"{sending.event.alert.identifier} {sending.contact.id}" + (f" {sending.resent}" if sending.resent else "")
    return f"{sending.delivery}.{hashlib.blake2b(about.encode(), digest_size=8).hexdigest()}"


def described(alert: Alert, region: Region, language: str, code: str) -> str:
    """As the document describes it, with the code that can be confirmed in place of its own, which proves nothing."""
    own = message.check_code(alert.identifier)
    return message.description(alert, region, language).replace(own, code or own)


def plain(alert: Alert, region: Region, language: str, acknowledge: str = "", code: str = "", again: str = "") -> str:
    parts = (
        *([again] if again else []),
        message.headline(alert, region, language),
        message.instruction(alert, region, language),
        described(alert, region, language, code),
        alert.identifier,
        *([f"✓ {acknowledge}"] if acknowledge else []),
    )
    return "\n\n".join(parts) + "\n"


def page(alert: Alert, region: Region, language: str, acknowledge: str = "", code: str = "", again: str = "") -> str:
    """The HTML: nothing is fetched, so it is whole in any mail client and tells nobody that it was read."""
    texts, level = phrases(language), alert.level if alert.active else Level.NORMAL
    mark = {"Exercise": texts.exercise, "Test": texts.test}.get(alert.status.value, "")
    zone = region.zone_by_id.get(alert.zone)
    shown = {
        "headline": message.headline(alert, region, language),
        "mark": mark,
        "sender": named(region.names, language) + (f" · {again}" if again else ""),
        "level": class_name(level, region, language, hazard_of(alert.hazard.quantity)),
        "place": place(zone, alert.zone, language),
        "time": local_time(message.arrival_ms(alert) or alert.hazard.observed_ms or alert.sent_ms, region, language),
        "instruction": message.instruction(alert, region, language).removeprefix(mark),
        "description": described(alert, region, language, code).removeprefix(mark),
        "identifier": alert.identifier,
    }
    safe = {name: escape(value) for name, value in shown.items()}
    link = f'<p style="font-size:16px"><a href="{escape(acknowledge)}"><bdi dir="ltr">✓ {escape(acknowledge)}</bdi></a></p>'
    safe["answer"] = link if acknowledge else ""
    rtl = right_to_left(language)
    look = {
        "language": escape(language),
        "direction": "rtl" if rtl else "ltr",
        "fonts": FONTS.get(language, FONTS[""]),
        "leading": "2.1" if language == "ur" else "1.6",  # Nastaliq climbs; closer lines would touch
        "ground": ground(level),
        "ink": ink(level),
    }
    return PAGE.format(**safe, **look)
