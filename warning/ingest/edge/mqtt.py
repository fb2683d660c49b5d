"""The sensors' own broker: readings in at QoS 1, acknowledged when the outbox has them; sirens told by a retained message."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import aiomqtt
import msgspec

from warning.errors import InputError, Unavailable
from warning.ingest.body import split
from warning.ingest.edge.clock import Now
from warning.ingest.edge.local import MOST_BYTES
from warning.ingest.edge.node import Local, Node
from warning.ingest.edge.siren import Tell, again_s
from warning.model import Level
from warning.site import Mqtt, Siren, Site

_AGAIN_S = 5.0
_WITHIN_S = 10.0
_UNKEPT_S = 30.0  # after the first message that the disk did not take the session goes on for so long, and those come again
_MOST_QUEUED = 1000  # of QoS 0, which nobody sends again; of QoS 1 the broker sends 20 ahead
_REFUSED = 128  # MQTT 3.1.1, 3.9.3

_log = logging.getLogger(__name__)


class LocalBroker:
    """A persistent session of its own name, so that what comes while the node is down waits at the broker."""

    def __init__(self, site: Site, mqtt: Mqtt) -> None:
        self._node_name, self._mqtt = site.node, mqtt
        self._by_topic = {sensor.topic: sensor for sensor in site.sensors if sensor.topic}
        self._client: aiomqtt.Client | None = None
        # Packet identifier, kept by the broker where it sends again -> what it was (hash), and when it was heard first.
        self._unkept: dict[int, tuple[int, Now]] = {}
        self.why = "not yet connected"  # "": it is

    async def run(self, node: Node) -> None:
        """For ever: what breaks is begun anew, and then the broker sends again what was not acknowledged."""
        while True:
            try:
                await self._session(node)
            except (aiomqtt.MqttError, OSError, Unavailable) as error:
                if str(error) != self.why:
                    _log.error("the sensors' broker at %s:%d: %s", self._mqtt.host, self._mqtt.port, error)
                self.why = str(error)
            await asyncio.sleep(_AGAIN_S)

    async def _session(self, node: Node) -> None:
        mqtt = self._mqtt
        client = aiomqtt.Client(
            mqtt.host,
            mqtt.port,
            username=mqtt.user or None,
            password=_password(mqtt),
            identifier=f"edge-{self._node_name}",
            clean_session=False,
            timeout=_WITHIN_S,
            keepalive=30,
            max_queued_incoming_messages=_MOST_QUEUED,
            tls_params=aiomqtt.TLSParameters(ca_certs=mqtt.ca_file) if mqtt.ca_file else None,
        )
        client._client.manual_ack_set(True)  # aiomqtt acknowledges before it hands over
        async with client:
            for topic in dict.fromkeys([*mqtt.topics, *self._by_topic]):
                codes = await client.subscribe(topic, qos=1)
                if any(code == _REFUSED for code in codes):
                    raise Unavailable(f"subscribing to {topic} is refused: give {mqtt.user or 'us'} the right to read it", reason="mqtt")
            self._client, self.why = client, ""
            _log.info("sensors in from MQTT at %s:%d", mqtt.host, mqtt.port)
            try:
                await self._heard(node, client)
            finally:
                self._client = None

    async def _heard(self, node: Node, client: aiomqtt.Client) -> None:
        """What the disk does not take is not acknowledged; the limits have heard it, and must hear those behind it. Raises Unavailable."""
        failed: Unavailable | None = None
        try:
            async with asyncio.timeout(None) as session:
                async for message in client.messages:
                    try:
                        await self._kept(node, message)
                    except Unavailable as error:
                        if failed is None:
                            failed = error
                            session.reschedule(asyncio.get_running_loop().time() + _UNKEPT_S)
                    else:
                        client._client.ack(message.mid, message.qos)
        except TimeoutError:
            raise failed or Unavailable("no answer in time", reason="mqtt") from None

    async def _kept(self, node: Node, message: aiomqtt.Message) -> None:
        """One that comes again, for the disk had not taken it, is of when it was heard first, and is no second reading."""
        what = hash((str(message.topic), _bytes(message.payload)))
        before = self._unkept.pop(message.mid, None) if message.qos else None
        heard = before[1] if before is not None and before[0] == what else None
        now = heard or node.now()
        try:
            await self._safely(node, message, heard)
        except BaseException:
            if message.qos:
                self._unkept[message.mid] = (what, now)
            raise

    async def _safely(self, node: Node, message: aiomqtt.Message, heard: Now | None) -> None:
        """A message that finds a bug of ours is kept, and ends nothing: it would come again for ever. Raises Unavailable."""
        try:
            await self._take(node, message, heard)
        except Unavailable:
            raise
        except Exception:
            _log.exception("a message of %s failed", message.topic)
            fault = InputError("our own fault: it is in the node's log", reason="internal", field="", fix="report it")
            await node.keep(_bytes(message.payload), fault, Local(str(message.topic)[:200]))

    async def _take(self, node: Node, message: aiomqtt.Message, heard: Now | None) -> None:
        """Raises Unavailable: it is not acknowledged, and comes again with the next session."""
        topic, body = str(message.topic), _bytes(message.payload)
        sender = Local(topic[:200])
        sensor = self._by_topic.get(topic)
        if message.retain and b'"time"' not in body:
            node.seeing.refused["retained"] += 1  # nobody knows of when it is: not of now
            return
        if sensor is not None and body.lstrip()[:1] not in (b"{", b"["):
            await node.take_number(sensor, body, sender, heard)
            return
        try:
            if len(body) > MOST_BYTES:
                raise InputError(f"over {MOST_BYTES} bytes", reason="too_large", field="", fix="send smaller messages")
            texts = split(body)
        except InputError as error:
            await node.keep(body, error, sender)
            return
        await node.take(texts, sender, heard)

    def by_topic(self, siren: Siren) -> Tell:
        """Tells a siren by its topic, QoS 1 and retained. ``valid_s``: hears it nothing for so long, the node is gone."""

        async def tell(state: str, level: Level) -> None:
            client = self._client
            if client is None:
                raise Unavailable(f"the sensors' broker: {self.why}", reason="siren")
            valid_s = 3 * again_s(siren, state)
            content = {"siren": siren.name, "state": state, "level": level.name, "node": self._node_name, "valid_s": valid_s}
            try:
                await client.publish(siren.topic, msgspec.json.encode(content), qos=1, retain=True, timeout=siren.within_s)
            except (aiomqtt.MqttError, OSError) as error:
                raise Unavailable(f"topic {siren.topic}: {error}", reason="siren") from error

        return tell


def _password(mqtt: Mqtt) -> str | None:
    return Path(mqtt.password_file).read_text(encoding="utf-8").strip() if mqtt.password_file else None


def _bytes(payload: object) -> bytes:
    return bytes(payload) if isinstance(payload, bytes | bytearray) else str("" if payload is None else payload).encode()
