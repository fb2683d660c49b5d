"""The trained part of the forecast: small feed-forward networks in integer arithmetic.

Two networks, both of ``features.table``: **fan**, the quantiles of the change of level at each lead (quantile regression: Koenker and
Bassett, 1978; by a network: Taylor, 2000), and **exceedance**, the probability that a limit is reached within each lead (a
discrete-time hazard by cross-entropy), whose members are averaged before the logistic function.

Weights and activations are whole numbers (``ACTIVE`` and ``WEIGHT`` steps to one), so that every sum of products is below 2^53 and
exact in double precision: whatever the order of addition, the CPU or the BLAS, the result is the same bit for bit.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import zlib
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

LEADS_H = (1, 2, 3, 4, 6, 9, 12, 18, 24, 36, 48)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
ACTIVE, WEIGHT = 1024.0, 4096.0  # steps to one
MOST_ACTIVE, MOST_WEIGHT, MOST_INPUT = 64.0, 7.99, 8.0
BLOCK = 512  # rows gone through at once: what is in between stays in the cache of a core, which halves the time of 5,000
LEAK = 1.0 / 16.0  # of the rectifier, a power of two
FORMAT = 1
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Layered:
    """One network: (F,) standardisation of its inputs, then ``weights`` (in, out) and ``biases``, whole numbers as float64.

    ``weights[-1]`` leads from the inputs right to the outputs.
    """

    least: Numbers
    greatest: Numbers
    centre: Numbers
    scale: Numbers
    weights: tuple[Numbers, ...]
    biases: tuple[Numbers, ...]

    def __call__(self, table: Numbers) -> Numbers:
        """(N, F) to (N, outputs)."""
        return np.concatenate([self._rest(*self._begun(table[rows], 0)) for rows in _blocks(len(table))])

    def of_shared(self, table: Numbers, place: NDArray[np.intp], more: Numbers) -> Numbers:
        """The same of the rows ``place`` (M,) of ``table`` (N, F - m), each with its own ``more`` (M, m): what they share is begun once.
        Sums are of whole numbers, so they come out the same in parts."""
        begun = [self._begun(table[rows], 0) for rows in _blocks(len(table))]
        layers, outs = (np.concatenate(parts) for parts in zip(*begun, strict=True))
        found = []
        for rows in _blocks(len(place)):
            layer, out = self._begun(more[rows], table.shape[1])
            layer += layers[place[rows]]
            out += outs[place[rows]]
            found.append(self._rest(layer, out))
        return np.concatenate(found)

    def _begun(self, columns: Numbers, since: int) -> tuple[Numbers, Numbers]:
        """What the inputs from number ``since`` on (N, m) add to the first layer, and right to the outputs."""
        part = slice(since, since + columns.shape[1])
        inputs = np.clip(columns, self.least[part], self.greatest[part])
        inputs -= self.centre[part]
        inputs /= self.scale[part]
        np.clip(inputs, -MOST_INPUT, MOST_INPUT, out=inputs)
        inputs *= ACTIVE
        np.rint(inputs, out=inputs)
        return inputs @ self.weights[0][part], inputs @ self.weights[-1][part]

    def _rest(self, layer: Numbers, out: Numbers) -> Numbers:
        """From what the inputs add up to; writes over both."""
        for weights, bias in zip(self.weights[1:-1], self.biases[:-1], strict=True):
            layer += bias
            layer /= WEIGHT
            np.maximum(layer, layer * LEAK, out=layer)
            np.clip(layer, -MOST_ACTIVE * ACTIVE, MOST_ACTIVE * ACTIVE, out=layer)
            np.rint(layer, out=layer)
            layer = layer @ weights
        out += layer
        out += self.biases[-1]
        out /= WEIGHT * ACTIVE
        return out


def _blocks(rows: int) -> list[slice]:
    """At least one, be it of no row."""
    return [slice(first, first + BLOCK) for first in range(0, max(rows, 1), BLOCK)]


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A network as it stands in a file: whole numbers."""

    inputs: int
    widths: tuple[int, ...]
    edges: tuple[tuple[float, ...], ...]  # least, greatest, centre, scale
    weights: bytes  # int16, little-endian: all weights one after the other
    biases: tuple[int, ...]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    features: tuple[str, ...]
    leads_h: tuple[int, ...]
    quantiles: tuple[float, ...]
    spread: tuple[float, ...]  # by lead: the fan is widened so that nine of ten held-out readings lie in it
    fan: tuple[_Stored, ...]
    exceedance: tuple[_Stored, ...]
    without: tuple[str, ...]  # rivers that were left out of training


@dataclass(frozen=True, slots=True)
class Model:
    """A trained forecast. ``digest`` identifies it; ``without``: the rivers that it has not seen."""

    fan_members: tuple[Layered, ...]
    exceedance_members: tuple[Layered, ...]
    spread: Numbers
    features: tuple[str, ...]
    without: tuple[str, ...]
    digest: str

    @staticmethod
    @functools.lru_cache(maxsize=8)
    def of(text: str) -> Model:
        """The model of a file's text. Raises ValueError for one that is not of this format."""
        try:
            raw = zlib.decompress(base64.b85decode("".join(text.split())))
            file = msgspec.msgpack.decode(raw, type=_File)
        except (ValueError, zlib.error, msgspec.MsgspecError) as error:
            raise ValueError(f"this is not a forecast model: {error}") from error
        if file.format != FORMAT or file.leads_h != LEADS_H or file.quantiles != QUANTILES:
            raise ValueError(f"the forecast model is of format {file.format}, this code reads {FORMAT}: make it again with `warning train`")
        return Model(
            tuple(_layered(one) for one in file.fan),
            tuple(_layered(one) for one in file.exceedance),
            np.array(file.spread),
            file.features,
            file.without,
            hashlib.blake2b(raw, digest_size=8).hexdigest(),
        )

    def fan(self, table: Numbers) -> Numbers:
        """Quantiles of the change at each lead (N, leads, quantiles), rising, in units of the recent range."""
        total = self.fan_members[0](table)
        for member in self.fan_members[1:]:
            total = total + member(table)
        out = np.sort((total / len(self.fan_members)).reshape(len(table), len(LEADS_H), len(QUANTILES)), axis=2)
        middle = out[:, :, 2:3]
        return np.asarray(middle + (out - middle) * self.spread[None, :, None])

    def exceedance(self, table: Numbers, place: NDArray[np.intp], toward: Numbers) -> Numbers:
        """Log-odds that limits are reached within each lead (M, leads), not falling. ``table`` (N, F): features; ``place`` (M,): the row of
        each limit; ``toward`` (M, 6): ``features.toward`` it."""
        total = self.exceedance_members[0].of_shared(table, place, toward)
        for member in self.exceedance_members[1:]:
            total += member.of_shared(table, place, toward)
        return np.asarray(np.maximum.accumulate(total / len(self.exceedance_members), axis=1))


def _layered(stored: _Stored) -> Layered:
    numbers = np.frombuffer(stored.weights, "<i2").astype(np.float64)
    sizes = [stored.inputs, *stored.widths]
    shapes = [*itertools.pairwise(sizes), (stored.inputs, stored.widths[-1])]
    bounds = np.cumsum([0, *(rows * columns for rows, columns in shapes)])
    if bounds[-1] != len(numbers):
        raise ValueError(f"this is not a forecast model: {len(numbers)} weights, its shape asks for {bounds[-1]}")
    weights = tuple(numbers[low:high].reshape(shape) for low, high, shape in zip(bounds[:-1], bounds[1:], shapes, strict=True))
    edges = np.cumsum([0, *stored.widths])
    biases = np.array(stored.biases, np.float64)
    least, greatest, centre, scale = (np.array(edge) for edge in stored.edges)
    return Layered(least, greatest, centre, scale, weights, tuple(biases[low:high] for low, high in itertools.pairwise(edges)))


def text(
    fan: list[dict[str, Any]], exceedance: list[dict[str, Any]], features: tuple[str, ...], spread: list[float], without: tuple[str, ...]
) -> str:
    """The file of trained networks. Each: ``edges`` (four arrays), ``weights`` and ``biases`` in real numbers, which are rounded here."""
    file = _File(FORMAT, features, LEADS_H, QUANTILES, tuple(spread), tuple(map(_stored, fan)), tuple(map(_stored, exceedance)), without)
    lines = base64.b85encode(zlib.compress(msgspec.msgpack.encode(file), 9)).decode()
    return "\n".join(lines[place : place + 120] for place in range(0, len(lines), 120)) + "\n"


def _stored(net: dict[str, Any]) -> _Stored:
    weights = [np.rint(np.clip(each, -MOST_WEIGHT, MOST_WEIGHT) * WEIGHT).astype("<i2") for each in net["weights"]]
    biases = [int(value) for each in net["biases"] for value in np.rint(np.asarray(each, np.float64) * WEIGHT * ACTIVE)]
    edges = tuple(tuple(round(float(value), 6) for value in edge) for edge in net["edges"])
    return _Stored(
        len(net["edges"][0]), tuple(len(each) for each in net["biases"]), edges, b"".join(each.tobytes() for each in weights), tuple(biases)
    )
