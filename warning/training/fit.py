"""Fitting small networks by Adam (Kingma and Ba, 2015), in NumPy, from a fixed seed: the same machine makes the same bytes.

Whole numbers come later (``science.network``); here all is single precision. n rows, F inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.science.network import LEAK

Single = NDArray[np.float32]
Gradient = Callable[[Single, NDArray[np.intp]], Single]
RATE, WARM_UP, DECAY = 2e-3, 200, 3e-3
BATCH = 512
JITTER = 0.05  # of the standardised inputs: neighbouring floods are no more alike than that


@dataclass(frozen=True)
class Edges:
    """Where inputs are cut, and their centre and scale: (F,) each."""

    least: NDArray[np.float64]
    greatest: NDArray[np.float64]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]

    @staticmethod
    def of(table: Single) -> Edges:
        edges = np.quantile(table, (0.002, 0.998), axis=0)
        least, greatest = np.round(np.array(edges, np.float64), 6)
        cut = np.clip(table, least, greatest)
        return Edges(
            least, greatest, np.round(cut.mean(axis=0, dtype=np.float64), 6), np.round(cut.std(axis=0, dtype=np.float64) + 1e-3, 6)
        )

    def standard(self, table: Single) -> Single:
        return np.clip((np.clip(table, self.least, self.greatest) - self.centre) / self.scale, -8.0, 8.0).astype(np.float32)


class Fitted:
    """Weights and biases in real numbers; the last of ``weights`` leads from the inputs right to the outputs."""

    def __init__(self, inputs: int, hidden: tuple[int, ...], start: NDArray[np.float64], seed: int) -> None:
        chance = np.random.default_rng(seed)
        sizes = (inputs, *hidden)
        outputs = len(start)
        self.weights = [
            chance.normal(0.0, np.sqrt(2.0 / low), (low, high)).astype(np.float32) for low, high in zip(sizes[:-1], hidden, strict=True)
        ]
        self.weights += [chance.normal(0.0, 0.05, (sizes[-1], outputs)).astype(np.float32), np.zeros((inputs, outputs), np.float32)]
        self.biases = [np.zeros(width, np.float32) for width in hidden] + [start.astype(np.float32)]

    def forward(self, inputs: Single) -> tuple[Single, list[Single]]:
        layers = [inputs]
        for weights, bias in zip(self.weights[:-2], self.biases[:-1], strict=True):
            summed = layers[-1] @ weights + bias
            layers.append(np.where(summed > 0, summed, summed * np.float32(LEAK)))
        return layers[-1] @ self.weights[-2] + inputs @ self.weights[-1] + self.biases[-1], layers

    def backward(self, layers: list[Single], gradient: Single) -> list[Single]:
        """Gradients of all weights, then of all biases."""
        weights: list[Any] = [None] * len(self.weights)
        biases: list[Any] = [None] * len(self.biases)
        weights[-2], weights[-1], biases[-1] = layers[-1].T @ gradient, layers[0].T @ gradient, gradient.sum(axis=0)
        behind = gradient @ self.weights[-2].T
        for place in range(len(self.weights) - 3, -1, -1):
            behind = behind * np.where(layers[place + 1] > 0, np.float32(1.0), np.float32(LEAK))
            weights[place], biases[place] = layers[place].T @ behind, behind.sum(axis=0)
            behind = behind @ self.weights[place].T
        return [*weights, *biases]

    def file(self, edges: Edges) -> dict[str, Any]:
        """As ``network.text`` takes it."""
        return {"edges": (edges.least, edges.greatest, edges.centre, edges.scale), "weights": self.weights, "biases": self.biases}


def fit(inputs: Single, hidden: tuple[int, ...], start: NDArray[np.float64], gradient: Gradient, epochs: int, seed: int) -> Fitted:
    """``gradient``: of the loss by the outputs (b, O) of the rows (b,)."""
    net = Fitted(inputs.shape[1], hidden, start, seed)
    parameters = [*net.weights, *net.biases]
    mean = [np.zeros_like(each) for each in parameters]
    square = [np.zeros_like(each) for each in parameters]
    chance = np.random.default_rng(seed + 1)
    batches = len(inputs) // BATCH
    steps, step = epochs * batches, 0
    for _ in range(epochs):
        order = chance.permutation(len(inputs))
        for batch in range(batches):
            rows = order[batch * BATCH : (batch + 1) * BATCH]
            jittered = inputs[rows] + np.float32(JITTER) * chance.standard_normal((BATCH, inputs.shape[1]), np.float32)
            outputs, layers = net.forward(jittered)
            step += 1
            rate = RATE * min(1.0, step / WARM_UP) * 0.5 * (1.0 + np.cos(np.pi * step / steps)) + 1e-5
            found = net.backward(layers, gradient(outputs, rows))
            for place, (parameter, change) in enumerate(zip(parameters, found, strict=True)):
                mean[place] += np.float32(0.1) * (change - mean[place])
                square[place] += np.float32(0.001) * (change * change - square[place])
                move = (
                    mean[place] / np.float32(1.0 - 0.9**step) / (np.sqrt(square[place] / np.float32(1.0 - 0.999**step)) + np.float32(1e-8))
                )
                parameter -= np.float32(rate) * move
                if place < len(net.weights):
                    parameter *= np.float32(1.0 - rate * DECAY)
    return net


def pinball(target: Single, weight: Single, quantiles: Single, scale: Single) -> Gradient:
    """Of the quantile loss; ``target`` (n, O) NaN where unknown, ``quantiles`` and ``scale`` (O,)."""
    known = np.isfinite(target)
    filled = np.where(known, target, np.float32(0.0))

    def gradient(outputs: Single, rows: NDArray[np.intp]) -> Single:
        error = filled[rows] - outputs
        slope = np.where(error > 0, quantiles, quantiles - 1) * np.minimum(np.abs(error) / np.float32(0.02), np.float32(1.0))
        return np.asarray(-slope * known[rows] * weight[rows][:, None] / scale / np.float32(len(rows)), np.float32)

    return gradient


def cross_entropy(target: Single, weight: Single) -> Gradient:
    """Of the log-loss; ``target`` (n, O): 0, 1, or NaN where unknown; outputs are log-odds."""
    known = np.isfinite(target)
    filled = np.where(known, target, np.float32(0.0))

    def gradient(outputs: Single, rows: NDArray[np.intp]) -> Single:
        chance = 1.0 / (1.0 + np.exp(-np.clip(outputs, -30.0, 30.0)))
        return np.asarray((chance - filled[rows]) * known[rows] * weight[rows][:, None] / np.float32(len(rows)), np.float32)

    return gradient
