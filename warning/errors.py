"""Everything that this system raises on purpose.

::

    WarningSystemError
    +-- ConfigError          a region folder or an option is wrong; carries all problems at once
    +-- InputError           one reading or request cannot be taken; names the field and the fix
    +-- AuthError            who are you
    +-- Unavailable          a broker, database or telecom is away; try again later
    +-- AccessError          the brokers refuse us: password, certificate or right; a person has to give it
    +-- StateError           the log, a checkpoint or a ledger is not the one that belongs here

``reason`` is a bounded word (it is a metric label too), ``retryable`` says whether the same call may succeed
later, ``retry_after_s`` when.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ExitCode(enum.IntEnum):
    """Why a process ended; printed in its last line and documented in the README."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INVARIANT = 70  # a broken invariant: a bug
    CHECKPOINT_WRITE = 71  # the state could not be loaded or saved
    CHECKPOINT_MISSING = 72  # the group has a commit, but no verified generation is left
    CHECKPOINT_DIGEST = 73  # the committed generation is not the one that was read
    LOG_TRUNCATED = 74  # the log begins after the state's next record
    BROKER = 75  # the broker is away
    CLOCK = 76  # our clock is off against the brokers'
    NO_PROGRESS = 77  # records wait and none is applied
    CONFIG = 78
    OUT_OF_MEMORY = 79
    LOG_OTHER = 80  # the topic is not the one that the state was made from
    CHECKPOINT_VERSION = 81  # the checkpoint is of a version that this code does not read
    ACCESS = 82  # the brokers refuse us: password, certificate or right
    TAKEN_OVER = 83  # another configuration or code decides in a partition that we held


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where, and what to do about it."""

    where: str  # file, and line or key
    what: str
    fix: str = ""
    fatal: bool = True  # False: a warning

    def __str__(self) -> str:
        word = "" if self.fatal else "warning: "
        return f"{self.where}: {word}{self.what}" + (f" ({self.fix})" if self.fix else "")


class WarningSystemError(Exception):
    """Base of all errors of this system."""

    reason: str = "internal"
    retryable: bool = False
    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, reason: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason
        self.retry_after_s = retry_after_s


class ConfigError(WarningSystemError):
    """A region folder or an option is wrong. ``problems`` holds every one, not only the first."""

    reason = "config"
    exit_code = ExitCode.CONFIG

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class InputError(WarningSystemError):
    """One reading or request cannot be taken. ``field`` is what to look at, ``fix`` what to write instead."""

    def __init__(self, message: str, *, reason: str, field: str, fix: str) -> None:
        super().__init__(message, reason=reason)
        self.field, self.fix = field, fix


class AuthError(WarningSystemError):
    """Missing, unknown or revoked key (reason ``unauthenticated``) or a right that the key lacks (``forbidden``)."""

    reason = "unauthenticated"


class Unavailable(WarningSystemError):
    """A broker, database or telecom is away."""

    reason = "unavailable"
    retryable = True
    exit_code = ExitCode.BROKER


class AccessError(WarningSystemError):
    """The brokers refuse us: a wrong password, a certificate, a right that is missing. ``problems`` holds every one."""

    reason = "access"
    exit_code = ExitCode.ACCESS

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


class StateError(WarningSystemError):
    """The log, a checkpoint or a ledger is not the one that belongs here; only a person can tell what is right."""

    reason = "state"

    def __init__(self, message: str, *, exit_code: ExitCode, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.exit_code = exit_code
