"""Who we are to the brokers: a Deployment as the arguments of every Kafka client of ours, and refusals in words.

Files are read when a client is made: a renewed certificate or password counts from the next connection of the gateways and the
dispatcher on, and for the others from their next start (who is refused ends with ACCESS, and is started again).
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

from aiokafka import errors as kafka

from warning.deployment import Deployment
from warning.errors import AccessError, ConfigError, Problem, Unavailable, WarningSystemError

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_SSL")
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
PASSWORD = "WARNING_KAFKA_PASSWORD_FILE"  # noqa: S105 - the variable's name
_WHO = (kafka.SaslAuthenticationFailed, kafka.AuthenticationFailedError)
_MAY_NOT = (
    kafka.TopicAuthorizationFailedError,
    kafka.GroupAuthorizationFailedError,
    kafka.ClusterAuthorizationFailedError,
)


def arguments(deployment: Deployment) -> dict[str, Any]:
    """Keyword arguments of aiokafka's producer, consumer, admin client and connection, with the brokers' addresses.

    Raises ``ConfigError`` with every setting or file that does not do.
    """
    return {"bootstrap_servers": deployment.bootstrap, **security(deployment)}


def security(deployment: Deployment) -> dict[str, Any]:
    """``arguments`` without the addresses; empty for an open broker."""
    problems = list(_contradictions(deployment))
    if deployment.kafka_security == "PLAINTEXT" or problems:
        if problems:
            raise ConfigError(problems)
        return {}
    found: dict[str, Any] = {"security_protocol": deployment.kafka_security, "ssl_context": _context(deployment)}
    if deployment.kafka_security == "SASL_SSL":
        found |= {
            "sasl_mechanism": deployment.kafka_mechanism,
            "sasl_plain_username": deployment.kafka_user,
            "sasl_plain_password": _password(deployment),
        }
    return found


def _contradictions(to: Deployment) -> list[Problem]:
    problems = []
    for address in to.bootstrap.split(","):
        if not address.strip().rpartition(":")[2].isdigit() or not address.strip().rpartition(":")[0]:
            problems.append(Problem("WARNING_BOOTSTRAP", f"{address.strip()!r} is no address", "write host:port, comma-separated"))
    if to.kafka_security not in PROTOCOLS:
        problems.append(Problem("WARNING_KAFKA_SECURITY", f"{to.kafka_security!r} is not known", f"write {', '.join(PROTOCOLS)}"))
    secrets = to.kafka_user or to.kafka_password or to.kafka_password_file or to.kafka_ca_file or to.kafka_certificate_file
    if to.kafka_security == "PLAINTEXT" and secrets:
        fix = "write SASL_SSL (user and password) or SSL (certificates), or leave user, password and files away"
        problems.append(Problem("WARNING_KAFKA_SECURITY", "PLAINTEXT, but there is a user, a password or a certificate", fix))
    if to.kafka_security == "SASL_SSL":
        if to.kafka_mechanism not in MECHANISMS:
            problems.append(Problem("WARNING_KAFKA_MECHANISM", f"{to.kafka_mechanism!r} is not known", f"write {', '.join(MECHANISMS)}"))
        if not to.kafka_user:
            problems.append(Problem("WARNING_KAFKA_USER", "SASL_SSL without a user", "name the process's user at the brokers"))
        if bool(to.kafka_password) == bool(to.kafka_password_file):
            what = "both a password and a file of it" if to.kafka_password else "SASL_SSL without a password"
            problems.append(Problem(PASSWORD, what, "set WARNING_KAFKA_PASSWORD_FILE or WARNING_KAFKA_PASSWORD, one of them"))
    if bool(to.kafka_certificate_file) != bool(to.kafka_key_file):
        problems.append(Problem("WARNING_KAFKA_CERTIFICATE_FILE, WARNING_KAFKA_KEY_FILE", "one without the other", "name both, or none"))
    return problems


def _password(to: Deployment) -> str:
    if to.kafka_password:
        return to.kafka_password
    try:
        password = Path(to.kafka_password_file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([_unreadable(PASSWORD, to.kafka_password_file, error, "the file that holds the password")]) from None
    if not password:
        raise ConfigError([Problem(f"{PASSWORD} {to.kafka_password_file}", "the file is empty", "write the password into it")])
    return password


def _context(to: Deployment) -> ssl.SSLContext:
    """Checks the brokers' certificates and names always; there is no switch for that."""
    name, file = "WARNING_KAFKA_CA_FILE", to.kafka_ca_file
    what = "the PEM file of who signed the brokers' certificates"
    try:
        context = ssl.create_default_context(cafile=file or None)
        if to.kafka_certificate_file:
            name, file = "WARNING_KAFKA_CERTIFICATE_FILE, WARNING_KAFKA_KEY_FILE", f"{to.kafka_certificate_file}, {to.kafka_key_file}"
            what = "the PEM files of our certificate and its key, which is not encrypted"
            context.load_cert_chain(to.kafka_certificate_file, to.kafka_key_file, password=lambda: "")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError([_unreadable(name, file, error, what)]) from None
    return context


def _unreadable(name: str, file: str, error: Exception, what: str) -> Problem:
    why = getattr(error, "strerror", None) or str(error)
    return Problem(f"{name} {file}", f"cannot be read: {why}", f"name {what}")


# --- refusals in words


def in_words(error: BaseException, deployment: Deployment, where: str = "") -> WarningSystemError:
    """What a Kafka client or a connection raised, as ``AccessError`` where a person has to act, else as ``Unavailable``. Its own errors
    come back as they are. ``where``: what was tried, such as a topic; else the brokers' addresses."""
    if isinstance(error, WarningSystemError):
        return error
    where = where or f"broker {deployment.bootstrap}"
    for each in _chain(error):
        if problem := _refusal(each, deployment, where):
            return AccessError([problem])
    if name := _unknown_host(error):
        return Unavailable(f"{where}: the name does not resolve ({name}; correct WARNING_BOOTSTRAP or DNS)", reason="host")
    if "closed" in str(error) and isinstance(error, kafka.KafkaConnectionError) and deployment.kafka_security == "PLAINTEXT":
        return Unavailable(f"{where} closes the connection: {error!r} (if it speaks TLS, set WARNING_KAFKA_SECURITY to SASL_SSL or SSL)")
    words = "no answer in time" if isinstance(error, TimeoutError) else f"no answer: {error!r}"
    return Unavailable(f"{where}: {words}")


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _unknown_host(error: BaseException) -> str:
    return next((each.strerror or str(each) for each in _chain(error) if isinstance(each, socket.gaierror)), "")


def _refusal(error: BaseException, to: Deployment, where: str) -> Problem | None:
    if isinstance(error, _WHO):
        fix = f"correct WARNING_KAFKA_USER or {_password_variable(to)}, or set the user's password with kafka-configs.sh"
        return Problem(where, f"user {to.kafka_user!r} is refused: no such user, or another password", fix)
    if isinstance(error, _MAY_NOT):
        what = error.args[0] if error.args else ""
        to_what = f" to {', '.join(sorted(map(str, what))) if isinstance(what, set | frozenset | list | tuple) else what}" if what else ""
        return Problem(where, f"{whoami(to)} has no right{to_what} ({type(error).__name__})", "give it: `warning acls` prints how")
    if isinstance(error, kafka.UnsupportedSaslMechanismError):
        return Problem(where, f"the broker does not take {to.kafka_mechanism}", "set WARNING_KAFKA_MECHANISM to one that it takes")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Problem(where, *_certificate(error, to))
    if isinstance(error, ssl.SSLError):
        return Problem(where, *_tls(error, to))
    return None


def _password_variable(to: Deployment) -> str:
    return f"{PASSWORD} {to.kafka_password_file}" if to.kafka_password_file else "WARNING_KAFKA_PASSWORD"


def whoami(to: Deployment) -> str:
    """Our name in words."""
    if to.kafka_security == "SASL_SSL":
        return f"user {to.kafka_user!r}"
    return f"the owner of {to.kafka_certificate_file}" if to.kafka_certificate_file else "who has no name (PLAINTEXT)"


def _certificate(error: ssl.SSLCertVerificationError, to: Deployment) -> tuple[str, str]:
    """OpenSSL's verdict on the broker's certificate: what, and the fix."""
    trusted = (
        f"WARNING_KAFKA_CA_FILE {to.kafka_ca_file}"
        if to.kafka_ca_file
        else "this machine's certificate store, or name its file in WARNING_KAFKA_CA_FILE"
    )
    if error.verify_code in (9, 10):
        return f"its certificate is out of date: {error.verify_message}", "renew it at the broker, or set this machine's clock"
    if error.verify_code in (62, 64):
        return f"its certificate is for another name: {error.verify_message}", "put the name of WARNING_BOOTSTRAP into the certificate"
    return f"its certificate is not trusted: {error.verify_message}", f"put the CA that signed it into {trusted}"


def _tls(error: ssl.SSLError, to: Deployment) -> tuple[str, str]:
    words = (error.reason or str(error)).lower().replace("_", " ")
    if "alert" in words and to.kafka_certificate_file:
        return f"it refuses our certificate: {words}", f"renew WARNING_KAFKA_CERTIFICATE_FILE {to.kafka_certificate_file}"
    if "certificate" in words or "handshake failure" in words:
        return f"it wants a certificate of ours: {words}", "set WARNING_KAFKA_CERTIFICATE_FILE and WARNING_KAFKA_KEY_FILE"
    return f"no TLS with it: {words}", "WARNING_BOOTSTRAP must name its TLS listener, WARNING_KAFKA_SECURITY what it speaks"
