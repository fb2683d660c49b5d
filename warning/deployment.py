"""Where one deployment lives: brokers, topics, database, addresses. What it does is in the Region."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and how it is kept. ``retention_s`` None: for ever."""

    name: str
    compact: bool
    retention_s: int | None
    by_partition: bool  # partitioned as ``readings`` is; else one partition is enough


@dataclass(frozen=True, slots=True)
class Deployment:
    """One region's processes share one of these. Everything of a replay has another ``prefix``, group and database.

    ``prefix`` stands before each topic name, e.g. ``indus.``; a replay's begins with ``replay-``.
    """

    bootstrap: str = "127.0.0.1:9092"  # host:port, comma-separated
    kafka_security: str = "PLAINTEXT"  # or SSL, SASL_SSL
    kafka_mechanism: str = "SCRAM-SHA-512"  # or SCRAM-SHA-256, PLAIN
    kafka_user: str = ""  # here and in file names {process} stands for worker, ingest, dispatch ...: a user each, with its own rights
    kafka_password: str = field(default="", repr=False)
    kafka_password_file: str = ""  # instead of the password; read anew at each start and connection
    kafka_ca_file: str = ""  # PEM of who signed the brokers' certificates; "" = what this machine trusts
    kafka_certificate_file: str = ""  # PEM of our own, where brokers ask for one; with its chain
    kafka_key_file: str = ""
    mqtt_url: str = ""  # mqtts://user@host:port of the broker that sensors publish to; "" = none
    mqtt_password: str = field(default="", repr=False)
    mqtt_password_file: str = ""  # instead of the password; read anew at each connection
    mqtt_ca_file: str = ""  # PEM of who signed its certificate; "" = what this machine trusts
    mqtt_certificate_file: str = ""  # PEM of our own, where it asks for one
    mqtt_key_file: str = ""
    mqtt_id: str = ""  # our session's name there: gateways of one name take turns, with a name each (kept over restarts) they share
    prefix: str = ""
    directory: Path = Path()  # for databases and the like
    database_url: str = ""  # "" = SQLite in ``directory``
    replication: int = 1
    host: str = "127.0.0.1"
    ingest_port: int = 8080
    api_port: int = 8081
    api_closed: bool = False  # deliveries and sensors, too, only with a key of role viewer; what is for the public stays open
    worker_metrics_port: int = 8082
    dispatch_metrics_port: int = 8083
    pull_metrics_port: int = 8085
    embedded: bool = False  # an in-memory broker that forgets: refuses status Actual
    replay: bool = False
    session_timeout_s: float = 10.0
    checkpoint_every_s: float = 30.0
    tick_every_s: float = 0.25
    smpp_host: str = "127.0.0.1"
    smpp_port: int = 2775
    smpp_user: str = ""
    smpp_password: str = field(default="", repr=False)
    sms_sender: str = ""
    routes_file: str = ""  # routes.yaml: further SMS centres, mail relays, Asterisk, cell broadcast; "" = none
    readers_smpp_host: str = ""  # SMS centre that hands us what gauge readers send; "" = none
    readers_smpp_port: int = 2775
    readers_smpp_user: str = ""  # an account of its own: the receipts of warnings go to the other one
    readers_smpp_password: str = field(default="", repr=False)
    signing_keys: str = ""  # folder of NAME.crt and NAME.key (PEM, P-256) that sign CAP documents; "" = they go unsigned
    code_secret: str = field(default="", repr=False)  # makes the codes of messages; several, separated by spaces: the first makes them
    code_secret_file: str = ""  # instead of it; one a line
    cash_secret: str = field(default="", repr=False)  # whsec_... that orders to the payment system are signed with (cash.yaml)
    cash_secret_file: str = ""  # instead of it; read anew for each order
    cash_ca_file: str = ""  # PEM of who signed the payment system's certificate; "" = what this machine trusts
    cash_certificate_file: str = ""  # PEM of our own, where it asks for one
    cash_key_file: str = ""
    rehearsal_url: str = ""  # a replay's webhook receiver: contacts with webhook rehearsal:NAME are at this URL, slash, NAME

    def as_process(self, name: str) -> Deployment:
        """As one process has it: with its own name for ``{process}`` in whom it is to the brokers."""
        named = ("kafka_user", "kafka_password_file", "kafka_certificate_file", "kafka_key_file")
        return replace(self, **{each: getattr(self, each).replace("{process}", name) for each in named})

    @property
    def group(self) -> str:
        return f"{self.prefix}worker"

    @property
    def cluster(self) -> str:
        """Which broker a ledger's place in the log is of, where that matters: an embedded one begins anew at each start."""
        return self.bootstrap if self.embedded else ""

    @property
    def inbox_group(self) -> str:
        return f"{self.prefix}inbox"

    @property
    def mqtt_group(self) -> str:
        """Of the shared subscription: gateways of this deployment share its messages, another deployment gets its own."""
        return f"{self.prefix}warning"

    @property
    def mqtt_session(self) -> str:
        return self.mqtt_id or f"{self.prefix}gateway"

    @property
    def database(self) -> str:
        """SQLAlchemy URL of contacts, keys and the ledger."""
        return self.database_url or f"sqlite+aiosqlite:///{self.directory / (self.prefix + 'warning.db')}"

    @property
    def readings(self) -> str:
        return f"{self.prefix}readings"

    @property
    def checkpoints(self) -> str:
        return f"{self.prefix}checkpoints"

    @property
    def inbox(self) -> str:
        return f"{self.prefix}readings.inbox"

    @property
    def rejected(self) -> str:
        return f"{self.prefix}readings.rejected"

    @property
    def hazards(self) -> str:
        return f"{self.prefix}hazards"

    @property
    def alerts(self) -> str:
        return f"{self.prefix}alerts"

    @property
    def receipts(self) -> str:
        return f"{self.prefix}receipts"

    @property
    def topics(self) -> tuple[Topic, ...]:
        """Every topic of this deployment. A replay keeps ``readings`` for ever: its times are of the past."""
        day = 86_400
        return (
            Topic(self.readings, False, None if self.replay else 7 * day, True),
            Topic(self.checkpoints, True, None, True),
            Topic(self.inbox, False, None if self.replay else day, True),
            Topic(self.rejected, False, None if self.replay else 30 * day, False),
            Topic(self.hazards, True, None, True),
            Topic(self.alerts, False, None, False),
            Topic(self.receipts, False, None if self.replay else 365 * day, False),
        )
