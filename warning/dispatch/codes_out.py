"""The mail with which an address shows that warnings to it are wanted: who asked, a link to a page with a button, and the code itself.

``urls: {confirm: https://.../confirm}`` in region.yaml says where the link is reached; without it the agency gives the code back by key.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime

from warning.dispatch.channel import Outcome
from warning.dispatch.mail import Relay
from warning.model import DeliveryState
from warning.people.mailed import Mailed
from warning.people.subscriptions import Subscription
from warning.region import Region, named
from warning.routes import MailRoute

WORDS = {
    "en": (
        "Please confirm: flood warnings to this address",
        "{owner} asks that flood warnings of {region} be sent to {address} ({name}).\n\n"
        "If you want them, confirm it within 24 hours:\n\n{how}\n\n"
        "If you do not, do nothing: no warning will be sent to this address.\n",
        "the code is {code} (POST /v1/subscriptions/{id}/code)",
    ),
    "ur": (
        "براہِ کرم تصدیق کریں: اس پتے پر سیلاب کی وارننگ",
        "{owner} نے کہا ہے کہ {region} کی سیلاب وارننگ {address} پر بھیجی جائے ({name})۔\n\n"
        "اگر آپ چاہتے ہیں تو ۲۴ گھنٹے میں تصدیق کریں:\n\n{how}\n\n"
        "اگر نہیں چاہتے تو کچھ نہ کریں: اس پتے پر کوئی وارننگ نہیں بھیجی جائے گی۔\n",
        "کوڈ یہ ہے: {code} (POST /v1/subscriptions/{id}/code)",
    ),
}


class CodesOut:
    """``routes``: relays, the best first. ``start`` before ``send``."""

    def __init__(self, region: Region, mailed: Mailed, routes: Sequence[MailRoute]) -> None:
        self.mailed, self._region = mailed, region
        self._relays = [Relay(route) for route in routes]

    async def start(self) -> None:
        for relay in self._relays:
            await relay.start()

    async def stop(self) -> None:
        for relay in self._relays:
            await relay.stop()

    async def send(self, one: Subscription) -> Outcome:
        """By the first relay that takes it; what one may have sent goes by no other."""
        outcome = Outcome(DeliveryState.WAITING, "no_route")
        for relay in self._relays:
            outcome = await relay.post(lambda route: letter(one, self._region, route), f"code.{one.id}", one.address)
            if outcome.state is not DeliveryState.WAITING:
                break
        return outcome


def letter(one: Subscription, region: Region, route: MailRoute) -> EmailMessage:
    """In English, and in Urdu for who reads that."""
    domain = route.sender.rpartition("@")[2].rstrip("> ") or "localhost"
    texts = [WORDS[language] for language in ("ur", "en") if language in ("en", one.language)]
    base = region.urls.get("confirm", "").rstrip("/")
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = route.sender, one.address
    mail["Subject"] = texts[0][0]
    mail["Date"] = localtime()
    mail["Message-ID"] = f"<code.{one.id}.{one.token[:8]}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    said = []
    for _, words, by_key in texts:
        how = f"{base}/{one.id}/{one.token}" if base else by_key.format(code=one.token, id=one.id)
        region_name = named(region.names, "ur" if words is WORDS["ur"][1] else "en")
        said.append(words.format(owner=_line(one.owner), region=region_name, address=one.address, name=_line(one.name), how=how))
    mail.set_content("\n--\n\n".join(said), cte="base64")
    return mail


def _line(text: str) -> str:
    """What a stranger wrote, as one short line without links: nobody advertises in our mails."""
    return " ".join(text.split())[:80].replace("://", " ").replace("www.", "")
