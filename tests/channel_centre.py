"""A channel over a real SMS centre on a socket, for the conformance suite."""

from __future__ import annotations

from typing import Any

import channel_world as world
from channel_conformance import Side

from warning.alerts import message
from warning.dispatch.channel import PartReceipt
from warning.dispatch.sms import Text, text_of
from warning.model import AlertEvent
from warning.region import Region
from warning.rehearsal.telecom import Behaviour, Telecom

ESME_RINVDSTADR = 0x0B


class Centre:
    """``telecom``: that which takes the messages; ``receipts``: what the channel has told."""

    def __init__(self, region: Region) -> None:
        self.region, self.telecom, self.receipts = region, Telecom(), list[PartReceipt]()

    async def keep(self, one: PartReceipt) -> None:
        self.receipts.append(one)

    def words(self, event: AlertEvent, language: str, role: str) -> Text:
        return text_of(message.sms(event.alert, self.region, language, role).text)

    def behave(self, **fields: object) -> None:
        self.telecom.behaviour = Behaviour(**fields)  # type: ignore[arg-type]

    def side(self, channel: Any) -> Side:
        """Urdu in two parts, to a phone."""
        behave, telecom = self.behave, self.telecom
        return Side(
            channel,
            self.region,
            world.contact(1, language="ur"),
            reject=lambda: behave(reject=ESME_RINVDSTADR),
            throttle=lambda: behave(rate_per_s=2),
            silence=lambda: behave(silent=True),
            reset=lambda: behave(reset_after=1),
            heal=behave,
            go_away=telecom.stop,
            come_back=telecom.start,
            taken=lambda: len(telecom.messages),
            receipts=self.receipts,
            receipted=True,
            receipts_first=lambda: behave(receipt_first=True),
            receipts_twice=lambda: behave(receipts=2),
            receipts_lost=lambda: behave(receipts=0),
            parts=2,
        )
