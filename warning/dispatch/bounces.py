"""Delivery status notifications (RFC 3464): what a mail server says later about a mail of ours.

The mail system hands them over as they came (a pipe with curl, say), to the page of ``receipts_in``.
"""

from __future__ import annotations

import email
import re
from email.message import Message
from email.policy import compat32

from warning.dispatch.channel import PartReceipt
from warning.model import DeliveryState

OURS = re.compile(r"<?([0-9]+\.[0-9a-f]{16})(?:@[^>\s]*)?>?")
STATES = {
    "delivered": (DeliveryState.DELIVERED, ""),
    "failed": (DeliveryState.FAILED, "undeliv"),
}  # delayed, relayed, expanded: on its way, as far as anybody knows


def read(mail: bytes) -> list[PartReceipt]:
    """The receipts in a notification. Raises ValueError where it is none, or of no mail of ours."""
    try:
        return _read(email.message_from_bytes(mail, policy=compat32))
    except RecursionError:  # anybody may write to the address of bounces
        raise ValueError("parts nested too deep") from None


def _read(report: Message) -> list[PartReceipt]:
    status = next((part for part in report.walk() if part.get_content_type() == "message/delivery-status"), None)
    if status is None:
        raise ValueError("no message/delivery-status in it")
    blocks = [block for block in status.get_payload() if isinstance(block, Message)] if status.is_multipart() else []
    name = _name(report, blocks)
    if not name:
        raise ValueError("neither Original-Envelope-Id nor Message-ID is one of ours")
    actions = [str(block["Action"]).strip().casefold() for block in blocks if block["Action"]]
    return [PartReceipt("email", name, *STATES[action]) for action in dict.fromkeys(actions) if action in STATES]


def _name(report: Message, blocks: list[Message]) -> str:
    """What we called the mail: the envelope's name, else the Message-ID of what came back with the report."""
    said = [block["Original-Envelope-Id"] for block in blocks]
    for part in report.walk():
        kind = part.get_content_type()
        if kind == "text/rfc822-headers":
            payload = part.get_payload(decode=True)
            said.append(email.message_from_bytes(payload if isinstance(payload, bytes) else b"", policy=compat32)["Message-ID"])
        elif kind == "message/rfc822" and part.is_multipart():
            inner = part.get_payload(0)
            said.append(inner["Message-ID"] if isinstance(inner, Message) else None)
    found = (OURS.fullmatch(str(one).strip()) for one in said if one)
    return next((match[1] for match in found if match), "")
