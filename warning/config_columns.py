"""A long table column by column: each different cell is validated once, by the field of the model whose column it is.

Where 10^5 gauges have the same unit, basin and hours, this is a tenth of the work of a model for each row. It vouches for rows and says
nothing of the others: what is wrong with those only ``config_table`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, cached_property
from itertools import repeat
from sys import intern
from typing import Annotated, Any, Generic, TypeVar, cast, get_args

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError

Model = TypeVar("Model", bound=BaseModel)
NAMES = "names"  # the field of the columns ``name_en``, ``name_ur`` ...
NAME = "name_"
MOST = 4000  # different cells of a column that are remembered
DOUBT = object()
Cells = TypeAdapter[dict[str, Any]]  # cell -> value


class Columns(Generic[Model]):
    """The columns of one table. ``header``: names of the columns."""

    def __init__(self, model: type[Model], header: list[str]) -> None:
        checks, fields = model.__pydantic_decorators__, model.model_fields
        self._model, self._header = model, header
        self._known: dict[str, dict[str, Any]] = {name: {} for name in header}  # column -> cell -> value
        self._wrong = set[str]()  # columns with a cell that is not right
        judged_whole = bool(checks.model_validators or checks.field_validators or checks.validators)
        lacking = any(field.is_required() and name != NAMES and name not in header for name, field in fields.items())
        self._able = not (judged_whole or lacking or NAMES in header or len(set(header)) < len(header))

    def vouched(self, rows: list[list[str]]) -> list[Model | None]:
        """For each row what ``model.model_validate_strings`` makes of its cells; None: to be judged by itself.

        ``rows``: as many cells in each as there are columns; so few at a time that they stay in the processor's cache.
        """
        if not self._able or not rows:
            return [None] * len(rows)
        cells = dict(zip(self._header, zip(*rows, strict=True), strict=True))
        named = [name for name in sorted(cells) if NAMES in self._model.model_fields and name.startswith(NAME)]
        doubtful: set[int] = set()
        for name in cells.keys() - self._model.model_fields.keys() - set(named):  # unknown: an empty cell of it is none
            doubtful.update(number for number, cell in enumerate(cells[name]) if cell.strip())
        columns: dict[str, Iterable[Any]] = {}
        for name, field in self._model.model_fields.items():
            if name == NAMES:
                columns[name] = self._names({each: cells[each] for each in named}, len(rows), doubtful)
            elif name in cells:
                empty = DOUBT if field.is_required() else field.default
                columns[name] = self._values(name, _field(self._model, name), cells[name], empty, doubtful)
            else:
                columns[name] = repeat(field.default, len(rows))
        made: list[Model | None] = list(map(record(self._model), *columns.values()))
        for number in doubtful:
            made[number] = None
        return made

    def _values(self, name: str, adapter: Cells, cells: tuple[str, ...], empty: Any, doubtful: set[int]) -> list[Any]:
        """What the cells are, each different one looked at once; the rows of those that are not right become ``doubtful``."""
        known = self._known[name]
        if len(known) > MOST:
            known.clear()
        if missing := set(cells) - known.keys():
            stripped = {cell: cell.strip() for cell in missing}
            right = _right(adapter, {cell: cell for cell in stripped.values() if cell})
            right = {cell: intern(value) if type(value) is str else value for cell, value in right.items()}  # one object for one name
            right[""] = empty
            found = {cell: right.get(short, DOUBT) for cell, short in stripped.items()}
            known.update(found)
            if any(value is DOUBT for value in found.values()):
                self._wrong.add(name)
        values = list(map(known.__getitem__, cells))
        if name in self._wrong:
            doubtful.update(number for number, value in enumerate(values) if value is DOUBT)
        return values

    def _names(self, named: dict[str, tuple[str, ...]], rows: int, doubtful: set[int]) -> Iterable[dict[str, str]]:
        """language -> name of each row, without the languages whose cell is empty."""
        if not named:
            return ({} for _ in range(rows))
        text = _text(self._model)
        columns = [self._values(name, text, cells, "", doubtful) for name, cells in named.items()]
        languages = [name.removeprefix(NAME) for name in named]
        return ({language: name for language, name in zip(languages, row, strict=True) if name} for row in zip(*columns, strict=True))


@cache
def record(model: type[Model]) -> Callable[..., Model]:
    """Makes a row of its values, in the order of the model's fields: it has these and the model's properties, in a fifth of the memory."""
    bases = [base for base in reversed(model.__mro__) if issubclass(base, BaseModel) and base is not BaseModel]
    own = {name: one for base in bases for name, one in vars(base).items() if isinstance(one, property | cached_property)}
    fields = [(name, Any) for name in model.model_fields]
    kept = any(isinstance(one, cached_property) for one in own.values())
    return cast("Callable[..., Model]", msgspec.defstruct(model.__name__, fields, namespace=own, frozen=True, dict=kept, gc=kept))


@cache
def _field(model: type[BaseModel], name: str) -> Cells:
    field = model.model_fields[name]
    kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return TypeAdapter(dict[str, kind])


@cache
def _text(model: type[BaseModel]) -> Cells:
    """Of one name, in whatever language."""
    kind: Any = get_args(model.model_fields[NAMES].annotation)[1]
    return TypeAdapter(dict[str, kind])


def _right(adapter: Cells, cells: dict[str, str]) -> dict[str, Any]:
    """cell -> value, of those that are right."""
    try:
        return adapter.validate_strings(cells, strict=True)
    except ValidationError as error:
        wrong = {one["loc"][0] for one in error.errors(include_url=False, include_context=False, include_input=False)}
        return adapter.validate_strings({cell: cell for cell in cells if cell not in wrong}, strict=True)
