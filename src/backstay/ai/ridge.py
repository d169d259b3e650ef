"""Kernel ridge regression on one-hot labels, with what it says of examples that are held out, in closed form.

Leaving examples out needs no further fit (Rifkin and Lippert 2007): of a group G the held-out scores are
Y - inv(I - H)[G] (Y - H Y)[G], where H is the matrix that smooths. With G one example that is leave-one-out; with G a
whole label it shows how inputs look that belong to no label. Beyond LANDMARKS examples some stand for all (Nystroem).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[Any]

LANDMARKS: Final = 3000


@dataclass(frozen=True, slots=True)
class Solved:
    """A ridge regression, and what it says of what it has not seen."""

    weights: Floats
    """One row for each landmark, one column for each label: scores are kernel values times these."""
    held_out: Floats
    """The scores of each example when it is left out."""
    unlike: Floats
    """The scores of each example when its whole label is left out."""


def solve(
    kernel: Floats, landmarks: Sequence[int], labels: Sequence[int], count: int, penalty: float,
    together: Sequence[Sequence[int]] = (),
) -> Solved:  # fmt: skip
    """Fit `count` labels. kernel: of each example with each landmark; landmarks: which examples those are.

    together: groups of examples that are left out together, besides each alone.
    """
    import numpy as np

    target = np.zeros((len(labels), count))
    target[np.arange(len(labels)), np.asarray(labels)] = 1.0
    if len(landmarks) == len(labels):
        inverse = np.linalg.inv(kernel + penalty * np.eye(len(labels)))
        weights = inverse @ target
        lacking = _dual(inverse, weights)
        left = weights / np.diag(inverse)[:, None]
    else:
        root = np.linalg.inv(np.linalg.cholesky(kernel[list(landmarks)] + 1e-4 * np.eye(len(landmarks)))).T
        wide = kernel @ root
        inner = np.linalg.inv(wide.T @ wide + penalty * np.eye(wide.shape[1]))
        solution = inner @ (wide.T @ target)
        weights = root @ solution
        smoothed = wide @ inner
        error = target - wide @ solution
        left = error / (1 - np.einsum("ij,ij->i", smoothed, wide))[:, None]
        lacking = _primal(smoothed, wide, error)
    for group in together:
        left[list(group)] = lacking(np.asarray(group))
    unlike = np.zeros_like(target)
    for label in range(count):
        group = np.flatnonzero(np.asarray(labels) == label)
        unlike[group] = target[group] - lacking(group)
    return Solved(weights, target - left, unlike)


def _dual(inverse: Floats, weights: Floats) -> Callable[[Any], Floats]:
    import numpy as np

    return lambda group: np.linalg.solve(inverse[np.ix_(group, group)], weights[group])


def _primal(smoothed: Floats, wide: Floats, error: Floats) -> Callable[[Any], Floats]:
    import numpy as np

    return lambda group: np.linalg.solve(np.eye(len(group)) - smoothed[group] @ wide[group].T, error[group])
