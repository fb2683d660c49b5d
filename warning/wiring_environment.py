"""A Deployment as environment variables, so that ``warning up`` can hand it to its processes and an operator to a container.

``WARNING_BOOTSTRAP``, ``WARNING_PREFIX`` ...: one variable per field of ``Deployment``, in capitals. Passwords travel only this way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from warning.deployment import Deployment
from warning.errors import ConfigError, Problem

_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no", "")


def variable(field: str) -> str:
    return f"WARNING_{field.upper()}"


def from_environment(environment: Mapping[str, str], **given: Any) -> Deployment:
    """The deployment that the variables describe; ``given`` fields (other than None) go before them.

    Raises ConfigError with every variable that cannot be read.
    """
    kinds, problems = get_type_hints(Deployment), []
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Deployment):
        name = variable(field.name)
        if given.get(field.name) is not None:
            values[field.name] = given[field.name]
        elif name in environment:
            try:
                values[field.name] = _read(kinds[field.name], environment[name])
            except ValueError:
                shown = "..." if "password" in field.name else repr(environment[name])
                problems.append(Problem(name, f"{shown} is no {_word(kinds[field.name])}", f"write {_example(kinds[field.name])}"))
    if problems:
        raise ConfigError(problems)
    return Deployment(**values)


def to_environment(deployment: Deployment) -> dict[str, str]:
    """The variables of every field, such that ``from_environment`` gives the same deployment."""
    return {variable(field.name): _write(getattr(deployment, field.name)) for field in dataclasses.fields(deployment)}


def security_of(environment: Mapping[str, str]) -> dict[str, Any]:
    """The fields that say who we are to the brokers, as far as the variables do; all of them are text."""
    names = [field.name for field in dataclasses.fields(Deployment) if field.name.startswith("kafka_")]
    return {name: environment[variable(name)] for name in names if variable(name) in environment}


def _read(kind: Any, text: str) -> Any:
    if kind is bool:
        if text.lower() not in _TRUE + _FALSE:
            raise ValueError(text)
        return text.lower() in _TRUE
    return kind(text)


def _write(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _word(kind: Any) -> str:
    return {bool: "yes or no", int: "whole number", float: "number", Path: "path"}.get(kind, "text")


def _example(kind: Any) -> str:
    return {bool: "1 or 0", int: "a whole number such as 8080", float: "a number such as 10.0"}.get(kind, "text")
