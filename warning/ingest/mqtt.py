"""Readings by MQTT: a member of a shared subscription that acknowledges a message only when Kafka has what came of it.

What has come in while the log was busy is judged and appended in one go; then each message is acknowledged in the order in which it
came (MQTT 5, 4.6), and answered where there is something to say. aiomqtt would acknowledge on arrival: its paho client is told not to,
before it connects. While Kafka is away the messages in hand are offered again, and the broker keeps the rest: it sends
``RECEIVE_MAXIMUM`` ahead. A message that is not acknowledged comes again with our session's next connection; a reading's identity makes
its second copy harmless. What is refused is acknowledged when it is in ``readings.rejected``, or it would come for ever.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
from aiomqtt import Client, Message, MqttError
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from warning.config_devices import Device
from warning.deployment import Deployment
from warning.errors import AccessError, ConfigError, Problem, Unavailable
from warning.facts import Listener, MqttState, Received, nobody
from warning.ingest.gateway import Clock, Gateway, Taken
from warning.ingest.lorawan import Uplinks
from warning.ingest.mqtt_link import RECEIVE_MAXIMUM, arguments
from warning.ingest.mqtt_messages import Heard, Messages, internal
from warning.ingest.mqtt_topics import answers, subscriptions
from warning.ingest.sensorthings import Things

_AGAIN_S = (0.2, 5.0)  # the first pause, the longest
_SHORT_S, _TURN_S = 30.0, 60.0  # a line that broke so soon: another gateway of our name may have it; we come back ever later, up to this
_MOST_BYTES = 1 << 20  # of messages in one append, as of a request: else HTTP waits, and a slow log never has it within its time
_MOST_WAITING_BYTES = 32 << 20  # of messages with QoS 0, which nobody sends again
_OVERHEAD_BYTES = 1_000  # that a message takes beside its payload, which may be empty
_TOLD = 20  # refused readings in an answer

_log = logging.getLogger(__name__)


class Arrived(asyncio.Queue[Message]):
    """Messages that wait for their turn. With QoS 1 there are never more than ``RECEIVE_MAXIMUM``; those with QoS 0 are bounded here."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self.dropped, self._bytes = 0, 0

    def put_nowait(self, item: Message) -> None:
        if item.qos == 0 and self._bytes > _MOST_WAITING_BYTES:
            self.dropped += 1
            return
        self._bytes += len(item.payload) + _OVERHEAD_BYTES
        super().put_nowait(item)

    def get_nowait(self) -> Message:
        item = super().get_nowait()
        self._bytes -= len(item.payload) + _OVERHEAD_BYTES
        return item

    def leave(self) -> None:
        """The line is gone. What waits with QoS 1 comes again, what waits with QoS 0 does not."""
        while not self.empty():
            self.dropped += not self.get_nowait().qos


class Mqtt:
    """``await mqtt.run(stop)``. ``clock``: ms since 1970 UTC."""

    def __init__(
        self,
        deployment: Deployment,
        gateway: Gateway,
        devices: Sequence[Device],
        uplinks: Uplinks,
        clock: Clock,
        listen: Listener = nobody,
        things: Things | None = None,
    ) -> None:
        self._deployment, self._gateway, self._listen = deployment, gateway, listen
        self._messages, self._uplinks = Messages(devices, uplinks, clock, things), uplinks
        self._why, self._pause_s = "", _AGAIN_S[0]
        self._up_at_s: float | None = None  # of this connection, monotonic
        self._arrived = Arrived()  # by this connection

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set and the messages in hand are done with. Comes back by itself from whatever happens."""
        self._listen(MqttState(up=False))
        while not stop.is_set():
            self._up_at_s = None
            try:
                await self._life(stop)
            except (MqttError, OSError, TimeoutError, AccessError, ConfigError) as error:
                self._say(_in_words(error))
            except Exception:  # a bug of ours or of the library: the readings over HTTP must not end with it
                _log.exception("reading from the MQTT broker failed")
            self._arrived.leave()
            self._say_dropped()
            self._listen(MqttState(up=False))
            if self._up_at_s is not None and time.monotonic() - self._up_at_s > _SHORT_S:
                self._pause_s = _AGAIN_S[0]
            await _until(stop, self._pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - so that gateways do not come back in step
            self._pause_s = min(2 * self._pause_s, _AGAIN_S[1] if self._up_at_s is None else _TURN_S)

    def _say(self, why: str) -> None:
        if why != self._why:
            _log.warning("the MQTT broker: %s", why)
        self._why = why

    def _say_dropped(self) -> None:
        dropped, self._arrived.dropped = self._arrived.dropped, 0
        if dropped:
            _log.error("%d messages with QoS 0 were dropped; devices should send with QoS 1", dropped)
            self._listen(Received(0, {"dropped": dropped}, 503, 0.0))

    async def _life(self, stop: asyncio.Event) -> None:
        """One connection."""
        self._arrived = arrived = Arrived()
        client = Client(**arguments(self._deployment, lambda maxsize: arrived))
        client._client.manual_ack_set(True)  # before it connects: what waits in the session comes at once
        async with client:
            topics = subscriptions(self._deployment.mqtt_group, networks=bool(self._uplinks))
            codes: Sequence[Any] = await client.subscribe(topics)  # ReasonCode, for we speak MQTT 5
            refused = [topic for (topic, _), code in zip(topics, codes, strict=True) if code.is_failure]
            if refused:
                raise AccessError(
                    [Problem("MQTT", f"subscribing to {', '.join(refused)} is refused", "give our user the right to read it")]
                )
            self._why, self._up_at_s = "", time.monotonic()
            _log.info("readings in from %s", ", ".join(topic for topic, _ in topics))
            self._listen(MqttState(up=True))
            while batch := await _next(client, arrived, stop):
                await self._settle(client, batch, stop)
                self._say_dropped()

    async def _settle(self, client: Client, batch: Sequence[Message], stop: asyncio.Event) -> None:
        """Judge, append, acknowledge, tell. Acknowledges nothing if we stop before Kafka has it."""
        began = time.monotonic()
        heard = [self._messages.read(message.topic.value, message.payload) for message in batch]
        taken: list[Taken] | None = None
        try:
            taken = await self._offered(client, heard, batch, stop)
        finally:
            if taken is None:
                self._arrived.dropped += sum(not message.qos for message in batch)
        if taken is None:
            return
        for message in batch:
            if message.qos:
                client._client.ack(message.mid, message.qos)
        for message, one, result in zip(batch, heard, taken, strict=True):
            self._uplinks.done(one.frame)
            self._tell(one, result, time.monotonic() - began)
            await _answer(client, message, one, result)  # after the acknowledgements: a broker breaks the line of one who may not write

    async def _offered(self, client: Client, heard: list[Heard], batch: Sequence[Message], stop: asyncio.Event) -> list[Taken] | None:
        """What became of each; None if we stop before the brokers are back."""
        pause_s = _AGAIN_S[0]
        ours = False  # it is our own refusal that is offered
        while True:
            try:
                return await self._gateway.offer_each([(one.parts, one.sender) for one in heard])
            except Unavailable as error:
                self._listen(Received(0, {error.reason: 1}, 503, 0.0))
            except Exception as error:  # one of them raises what nobody foresaw: the others must not wait for it for ever
                if len(heard) > 1:
                    each = [await self._offered(client, [one], [message], stop) for one, message in zip(heard, batch, strict=True)]
                    return None if None in each else [result for one in each for result in one or ()]
                _log.exception("a message on %s was not judged", batch[0].topic.value[:100])
                heard = [internal(batch[0].payload, batch[0].topic.value, error)]
                if not ours and not stop.is_set():
                    ours = True
                    continue
            if stop.is_set():
                return None
            if not client._client.is_connected():
                raise MqttError("the line broke while the log was away; what is in hand comes again")
            self._say_dropped()
            await _until(stop, pause_s)
            pause_s = min(2 * pause_s, _AGAIN_S[1])

    def _tell(self, one: Heard, result: Taken, seconds: float) -> None:
        if one.parts:
            self._listen(Received(result.accepted, result.reasons, 202 if result.accepted else 422, seconds))
        if one.heard is not None:
            ahead_s = result.ahead_ms / 1000 if result.ahead_ms else one.heard.clock_skew_s
            self._listen(replace(one.heard, clock_skew_s=ahead_s))


async def _next(client: Client, arrived: Arrived, stop: asyncio.Event) -> list[Message]:
    """What has come, at least one message; nothing when we stop. Raises MqttError when the line breaks."""
    if arrived.empty():
        first = asyncio.ensure_future(anext(client.messages))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait((first, stopping), return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                return []
            batch = [first.result()]
        finally:
            first.cancel()
            stopping.cancel()
            await asyncio.gather(first, stopping, return_exceptions=True)
    else:
        batch = [] if stop.is_set() else [arrived.get_nowait()]
    size = sum(len(message.payload) for message in batch)
    while batch and not arrived.empty() and len(batch) < RECEIVE_MAXIMUM and size < _MOST_BYTES:
        batch.append(arrived.get_nowait())
        size += len(batch[-1].payload)
    return batch


async def _answer(client: Client, message: Message, one: Heard, result: Taken) -> None:
    """Tells a device what was refused, and what was taken if it asked by correlation data. Lost with the line: then it all comes again."""
    correlation = getattr(message.properties, "CorrelationData", None)
    if not one.device or not (result.refused or correlation):
        return
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if correlation:
        properties.CorrelationData = correlation
    content = {
        "accepted": result.accepted,
        "refused": result.refused[:_TOLD],
        "refused_in_all": len(result.refused),
        "received_ms": result.received_ms,
        "clock_ahead_s": result.ahead_ms / 1000,
    }
    try:
        await client.publish(answers(one.device), msgspec.json.encode(content), properties=properties)
    except MqttError as error:
        _log.info("%s was not answered: %s", one.device, error)


def _in_words(error: Exception) -> str:
    if isinstance(error, MqttConnectError):
        return f"it refuses us: {error.rc}; check WARNING_MQTT_URL, the password and the broker's users"
    return str(error.__cause__ or error) or type(error).__name__


async def _until(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
