"""A YAML file -> its keys and the line of each, so that every problem says where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from warning.config_explain import explain
from warning.config_table import text_of
from warning.errors import Problem

Key = tuple[Any, ...]
Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path, model: type[Model], problems: list[Problem]) -> Model | None:
    """The model of a file; None where anything is wrong, and all of it is added to ``problems``."""
    content, lines = table_of(path, problems, "config/README.md shows what it holds")
    return None if content is None else validated(path, content, lines, model, problems)


def validated(path: Path, content: dict[Any, Any], lines: dict[Key, int], model: type[Model], problems: list[Problem]) -> Model | None:
    """The model of what ``table_of`` read; None with a problem for each key that is wrong."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        for one in error.errors():
            key = tuple(part for part in one["loc"] if part != "[key]")
            what, fix = explain(one, model)
            problems.append(Problem(yaml_where(path, lines, key), what, fix))
    return None


def table_of(path: Path, problems: list[Problem], fix: str) -> tuple[dict[Any, Any] | None, dict[Key, int]]:
    """(the content of a file that is a table of keys, key path -> line); None with a problem. ``fix``: for one that is no table."""
    text = text_of(path, problems)
    lines: dict[Key, int] = {}
    if text is None:
        return None, lines
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problems.append(
            Problem(f"{path}:{line}", f"not YAML: {getattr(error, 'problem', None) or error}", "check indentation, colons and quotes")
        )
        return None, lines
    twice: list[Key] = []
    if node is not None:
        _lines_of(node, (), lines, twice)
    problems += [Problem(yaml_where(path, lines, key), "the key stands twice", "remove one") for key in twice]
    if not isinstance(content, dict):
        problems.append(Problem(f"{path}:1", "is not a table of keys", fix))
        return None, lines
    return content, lines


def yaml_where(path: Path, lines: dict[Key, int], key: Key) -> str:
    """``file:line (a.b.c)``: the line of the deepest key that is in the file."""
    depth = next((n for n in range(len(key), -1, -1) if key[:n] in lines), 0)
    return f"{path}:{lines.get(key[:depth], 1)}" + (f" ({'.'.join(map(str, key))})" if key else "")


def _lines_of(node: yaml.Node, path: Key, lines: dict[Key, int], twice: list[Key]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, key.value)
            if here in lines:
                twice.append(here)
            lines[here] = key.start_mark.line + 1
            _lines_of(value, here, lines, twice)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            _lines_of(value, (*path, number), lines, twice)
