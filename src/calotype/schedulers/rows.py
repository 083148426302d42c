"""The numbers of a step: ``next = keep * sample + sum(weights * predictions) + fresh * noise``.

Plain floats and numpy, no tensors. ``nodes`` are the points at which predictions are known, newest first and as many as
the order: ``nodes[0]`` is where the sample is, ``there`` is where it goes. A prediction is the clean sample or the
noise, as each formula says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal, NamedTuple

import numpy as np

from .grid import Point

Kept = Literal["denoised", "noise"]
"""What a formula is told about the past."""


class Row(NamedTuple):
    keep: float  # of the sample
    weights: tuple[float, ...]  # of the predictions, newest first
    fresh: float | None = None  # of new noise: None draws none, 0.0 draws some and lets it go


def ancestral(here: Point, there: Point, eta: float = 0.0) -> Row:
    """From the clean estimate: DDIM (arXiv 2010.02502, equations 12 and 16); with eta=1 the posterior of DDPM.

    Where alpha is 1 this is an Euler step, with eta=1 an ancestral one; along a flow it is the flow's Euler step.
    """
    shrunk = there.sigma * here.alpha / (here.sigma * there.alpha)
    fresh = eta * there.sigma * math.sqrt(max(0.0, 1 - shrunk * shrunk))
    keep = math.sqrt(max(0.0, there.sigma**2 - fresh**2)) / here.sigma
    return Row(keep, (there.alpha - here.alpha * keep,), fresh if eta else None)


def posterior(beta: float, here: float, there: float) -> Row:
    """DDPM (arXiv 2006.11239, equations 6 and 7), from the clean sample; ``here`` and ``there`` are alphas_cumprod.

    What ``ancestral`` says with eta=1, but with the betas as they were rounded.
    """
    share = (1 - there) / (1 - here)
    return Row(math.sqrt(1 - beta) * share, (math.sqrt(there) * beta / (1 - here),), math.sqrt(beta * share))


def exponential(
    nodes: Sequence[Point], there: Point, kept: Kept, kind: str = "midpoint", sde: bool = False, bent: float = 0.5
) -> Row:
    """DPM-Solver (arXiv 2206.00927) from noises, DPM-Solver++ (arXiv 2211.01095) from clean samples.

    ``bent`` is how much of the second derivative counts: half in the multistep solvers, as they were published.
    """
    here = nodes[0]
    h = there.lam - here.lam
    if kept == "denoised":
        g = -2 * h if sde else -h
        keep, scale = there.sigma / here.sigma * (math.exp(-h) if sde else 1.0), -there.alpha
        fresh = there.sigma * math.sqrt(max(0.0, -math.expm1(-2 * h)))
    else:
        g, keep, scale = h, there.alpha / here.alpha, -there.sigma * (2 if sde else 1)
        fresh = there.sigma * math.sqrt(max(0.0, math.expm1(2 * h)))
    grown = math.expm1(g)
    weights = np.zeros(len(nodes))
    weights[0] = scale * grown
    if len(nodes) > 1 and h:
        slope, bend = differences([(node.lam - here.lam) / h for node in nodes])
        weights += (weights[0] / 2 if kind == "midpoint" and bend is None else scale * (grown / g - 1)) * slope
        if bend is not None:
            weights += scale * ((grown - g) / g**2 - 0.5) * bent * bend
    return Row(keep, tuple(weights.tolist()), fresh if sde else None)


def differences(at: Sequence[float]) -> tuple[np.ndarray, np.ndarray | None]:
    """Weights of values at 0, at[1] and perhaps at[2] that give the slope at 0, and the second derivative."""
    if len(at) == 2:
        return np.array([1.0, -1.0]) / -at[1], None
    newer = np.array([1.0, -1.0, 0.0]) / -at[1]
    older = np.array([0.0, 1.0, -1.0]) / (at[1] - at[2])
    bend = (newer - older) / -at[2]
    return newer - at[1] * bend, 2 * bend


def unified(nodes: Sequence[Point], there: Point, kept: Kept, kind: str, arrived: bool) -> Row:
    """UniPC (arXiv 2302.04867); once ``arrived``, the first weight is of the prediction there."""
    here, order = nodes[0], len(nodes)
    h = there.lam - here.lam
    if kept == "denoised":
        g, keep, scale = -h, there.sigma / here.sigma, -there.alpha
    else:
        g, keep, scale = h, there.alpha / here.alpha, -there.sigma
    weights = np.zeros(order + 1)  # of the prediction there, then of the nodes
    weights[1] = scale * math.expm1(g)
    unknown = order if arrived else order - 1
    if unknown and h:
        at = np.array([*((node.lam - here.lam) / h for node in nodes[1:]), 1.0])[:unknown]
        if unknown == 1:  # the paper's choice; B(h) cancels where there are more
            share = np.array([0.5 * (math.expm1(g) if kind == "bh2" else g)])
        else:
            share, near = np.zeros(unknown), np.isfinite(at)  # a node at noise alone is too far away to count
            powers = np.vander(at[near], increasing=True).T
            share[near] = np.linalg.solve(powers, _moments(g, len(powers)))
        slopes = scale * share / at
        weights[1] -= slopes.sum()
        weights[2:] += slopes[: order - 1]
        weights[0] += slopes[order - 1 :].sum()
    return Row(keep, tuple(weights.tolist()[0 if arrived else 1 :]))


def _moments(g: float, count: int) -> np.ndarray:
    """``k! * phi_{k+1}(g)`` times g, for k from 1: what the weighted differences must add up to."""
    moments: list[float] = []
    phi, factorial = math.expm1(g) / g - 1, 1
    for k in range(1, count + 1):
        moments.append(phi * factorial)
        factorial *= k + 1
        phi = phi / g - 1 / factorial
    return np.array(moments)


def logrho(nodes: Sequence[Point], there: Point) -> Row:
    """DEIS (arXiv 2204.13902), from noises: their polynomial in log(rho), integrated over rho = sigma / alpha."""
    keep = there.alpha / nodes[0].alpha
    if len(nodes) == 1:
        return Row(keep, (there.sigma - nodes[0].sigma * keep,))
    weights = lagrange_integrals([-node.lam for node in nodes], -there.lam, math.exp)
    return Row(keep, tuple(there.alpha * weight for weight in weights))


def adams(nodes: Sequence[Point], there: Point) -> Row:
    """Linear multistep (Adams-Bashforth on an uneven grid), from noises where alpha is 1."""
    return Row(1.0, lagrange_integrals([node.sigma for node in nodes], there.sigma))


def lagrange_integrals(
    at: Sequence[float], end: float, density: Callable[[float], float] | None = None
) -> tuple[float, ...]:
    """For each node, the integral of its Lagrange polynomial times a density, from the first node to the end."""
    x, w = _gauss_legendre()
    half = (end - at[0]) / 2
    points = at[0] + half * (x + 1)
    dense = half * w * (1 if density is None else np.array([density(point) for point in points.tolist()]))
    polynomials = (
        np.prod(
            [(points - other) / (node - other) for k, other in enumerate(at) if k != j] or [np.ones(len(x))], axis=0
        )
        for j, node in enumerate(at)
    )
    return tuple(float(dense @ polynomial) for polynomial in polynomials)


@cache
def _gauss_legendre() -> tuple[np.ndarray, np.ndarray]:
    """32 points: exact for polynomials up to degree 63, and to rounding for exp over the steps of any schedule."""
    return np.polynomial.legendre.leggauss(32)
