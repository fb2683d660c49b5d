"""The short code of a message, which anybody may ask us about: HMAC-SHA-256 of the alert's identifier, seven letters of base32.

**Not guessable.** 35 bits: G guesses hit a code in force with a chance of at most G k / 2^35, where k is the number of chains in force. A
million guesses: 0.003 % at one flood, 0.3 % at a hundred; the page takes ten a minute from an address, fifty a second from all
(``guesses``), which is four million while an alert lives. **What it proves:** that we sent a message with this code. Who sends another
text with it is found out by the page, which shows what we said. A code is the alert's, not the contact's, so that all who were told
compare the same one.

**Nothing is written when one is made,** so there is no moment at which a true message would be called a forgery: the codes of
the ledger's alerts are computed again. What waits for a person, or was refused, has no code that anybody could ask for.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import unicodedata
from pathlib import Path

from warning.deployment import Deployment
from warning.errors import ConfigError, InputError, Problem
from warning.model import Status
from warning.region import Region

LETTERS = 7
MARK_LETTERS = 5  # of ``alerts.message.check_code``, in CAP documents: anybody can compute it, so it is looked up nowhere
LEAST_SECRET = 16  # characters: 128 bits if they were made by chance
LOOK_ALIKE = str.maketrans({"0": "O", "1": "I", "8": "B"})  # base32 has none of these, and people read them so
ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


def code_of(secret: bytes, identifier: str) -> str:
    """The code of one revision. Reference: RFC 2104, RFC 4648."""
    return base64.b32encode(hmac.digest(secret, identifier.encode(), hashlib.sha256)[:5]).decode()[:LETTERS]


def normal(typed: str) -> str:
    """What somebody typed, as codes are written: any case, spaces and hyphens, digits of any script.

    Raises ``InputError``: ``malformed``, or ``document_mark`` for the shape of a document's mark, whether there is such a document or not.
    """
    letters = []
    for character in unicodedata.normalize("NFKC", typed[:64]).upper():
        digit = unicodedata.digit(character, None)
        letters.append(character if digit is None else str(digit))
    code = "".join(one for one in letters if one.isalnum()).translate(LOOK_ALIKE)
    if len(code) == MARK_LETTERS and ALPHABET.issuperset(code):
        raise InputError(
            f"{MARK_LETTERS} letters and digits are the mark of a CAP document, which proves nothing; the code of a message has {LETTERS}",
            reason="document_mark",
            field="code",
            fix=f"the last {LETTERS} letters and digits of the message; of a document, its identifier (/v1/alerts) and its signature",
        )
    if len(code) != LETTERS or not ALPHABET.issuperset(code):
        raise InputError(
            f"this is no code: ours have {LETTERS} letters and digits",
            reason="malformed",
            field="code",
            fix=f"the last {LETTERS} letters and digits of the message",
        )
    return code


def secrets_of(region: Region, deployment: Deployment) -> tuple[bytes, ...]:
    """The first makes codes, all are recognised; () where an Actual deployment names none: then it makes one and keeps it in SQL.

    In an exercise or a replay without one it follows from the region's name, so that every replay says the same.
    Raises ``ConfigError`` for a file that cannot be read, and for a secret that is too short.
    """
    text, where = deployment.code_secret, "code_secret"
    if deployment.code_secret_file:
        where = f"code_secret_file {deployment.code_secret_file}"
        try:
            text = Path(deployment.code_secret_file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError([Problem(where, f"cannot be read: {error}", "one secret a line, the newest first")]) from None
    found = text.split()
    if any(len(one) < LEAST_SECRET for one in found):
        raise ConfigError([Problem(where, f"has fewer than {LEAST_SECRET} characters", "make one: openssl rand -hex 32")])
    if found:
        return tuple(one.encode() for one in found)
    rehearsal = deployment.replay or deployment.embedded or region.status is not Status.ACTUAL
    return (f"exercise {region.namespace}".encode(),) if rehearsal else ()
