"""CAP over HTTPS to a cell-broadcast entity, which knows us by our certificate: the document's own bytes, as they stand on ``alerts``.

The entity tells documents apart by their identifier, so the same one twice is one warning (409 says so).
"""

from __future__ import annotations

import logging
import ssl

import httpx

from warning.dispatch.channel import Outcome, Part, Sending
from warning.dispatch.posted import Poster, refused
from warning.model import DeliveryState
from warning.routes import PushRoute

log = logging.getLogger(__name__)

TYPE = "application/cap+xml"
KNOWN = 409
TAKEN = (Part(1, DeliveryState.DELIVERED),)


class PushWay:
    """One entity."""

    def __init__(self, route: PushRoute, timeout_s: float = 20.0) -> None:
        self.name, self.window = route.name, 2
        self._route, self._timeout_s = route, timeout_s

    @property
    def up(self) -> bool:
        return True

    async def start(self) -> None:
        route = self._route
        context = ssl.create_default_context(cafile=route.ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(route.certificate_file, route.key_file)
        self._poster = Poster(route.url, self._timeout_s, self.window, verify=context)
        await self._poster.start()

    async def stop(self) -> None:
        await self._poster.stop()

    async def well(self) -> bool:
        return await self._poster.well()

    async def send(self, sending: Sending) -> Outcome:
        if not sending.event.cap:
            return Outcome(DeliveryState.FAILED, "no_document")
        headers = {"content-type": TYPE, "user-agent": "flood-warning"}
        answer = await self._poster.ask("POST", self._route.url, content=sending.event.cap.encode(), headers=headers)
        return answer if isinstance(answer, Outcome) else taken(answer)


def taken(response: httpx.Response) -> Outcome:
    if response.status_code == KNOWN:
        return Outcome(DeliveryState.DELIVERED, parts=TAKEN)
    return refused(response) or Outcome(DeliveryState.DELIVERED, parts=TAKEN)
