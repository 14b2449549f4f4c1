"""A picture of one operator's output on the board, in the reference, and their difference. Needs matplotlib."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.diff import Comparison, OperatorComparison
from smidgen.errors import InputError

_WIDEST = 64  # elements of a tensor without height and width in one row of its picture
_GAP = 1  # elements between the tiles of two channels
_WIDTH = 10.0  # of a figure, inches
_FLAT = 0.35  # height per width up to which pictures stand above one another
_TALLEST = 4.0  # height per width up to which a figure grows
_DOTS_PER_INCH = 120


def plot_operator(comparison: Comparison, operator: int | None = None) -> bytes:
    """A PNG file. operator: by default the first that differs, or the last if all are equal.

    Raises InputError when there is no such operator, or no matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("a plot needs matplotlib, which is not installed: pip install 'smidgen[plot]'") from None
    if operator is not None:
        row = comparison.operator(operator)
    else:
        row = comparison.first_difference or comparison.operators[-1]
    board, reference = (tiles(array.astype(np.float32)) for array in comparison.values[row.index])
    difference = board - reference
    figure = Figure(layout="constrained")
    figure.suptitle(_title(comparison, row), fontsize="medium")
    height, width = board.shape
    if height > _FLAT * width:
        axes, bars = figure.subplots(1, 3), "bottom"
        figure.set_size_inches(_WIDTH, _WIDTH / 3 * min(_TALLEST, height / width) + 1.6)
    else:
        axes, bars = figure.subplots(3, 1), "right"
        figure.set_size_inches(_WIDTH, 3 * (_WIDTH * height / width + 0.6) + 0.6)
    values = float(np.nanmin([board, reference])), float(np.nanmax([board, reference]))
    bound = max(1.0, float(np.nanmax(np.abs(difference))))
    images = [
        _draw(axes[0], board, f"board ({comparison.port})", "viridis", values),
        _draw(axes[1], reference, "reference", "viridis", values),
        _draw(axes[2], difference, "board - reference", "RdBu", (-bound, bound)),
    ]
    if row.errors.first is not None:
        _encircle(axes[2], row.shape, row.errors.first.position)
    figure.colorbar(images[0], ax=axes[:2], location=bars, label="int8 value", aspect=40)
    figure.colorbar(images[2], ax=axes[2:], location=bars, label="difference", aspect=20)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH)
    return buffer.getvalue()


def _draw(axis: Any, picture: NDArray[np.float32], title: str, colors: str, limits: tuple[float, float]) -> Any:
    axis.set_title(title, fontsize="medium")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_facecolor("0.8")  # gaps between tiles
    return axis.imshow(picture, cmap=colors, vmin=limits[0], vmax=limits[1], interpolation="nearest")


def _encircle(axis: Any, shape: tuple[int, ...], position: tuple[int, ...]) -> None:
    """The first element that differs may be one of ten thousand."""
    element = np.zeros(shape, np.float32)
    element[position] = 1
    ((y, x),) = np.argwhere(tiles(element) == 1)
    axis.plot(x, y, "o", markersize=12, fillstyle="none", color="black", clip_on=False)
    axis.set_title("board - reference (circle: the first difference)", fontsize="medium")


def _title(comparison: Comparison, row: OperatorComparison) -> str:
    errors = row.errors
    verdict = (
        "all elements equal"
        if row.is_equal
        else f"{errors.differing} of {row.elements} elements differ, by up to {errors.max_abs}"
    )
    shape = "x".join(str(size) for size in row.shape)
    return (
        f"operator {row.index} {row.name}: tensor {row.tensor}, {shape}, sample {comparison.sample}\n"
        f"{verdict}; a step is {row.scale:g}"
    )


def tiles(tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """A picture: channels of [1, height, width, channels] as tiles with gaps of NaN, row by row, nearly a square.

    Tensors of fewer dimensions, or of one pixel, are one run of elements, wrapped into rows.
    """
    if tensor.ndim != 4 or tensor.shape[1] * tensor.shape[2] == 1:
        return _wrapped(tensor.reshape(-1))
    pictures = np.moveaxis(tensor, 3, 1).reshape(-1, tensor.shape[1], tensor.shape[2])
    count, height, width = pictures.shape
    height, width = height + _GAP, width + _GAP
    columns = min(count, max(1, round(math.sqrt(count * height / width))))
    canvas = np.full((math.ceil(count / columns) * height, columns * width), np.nan, np.float32)
    for number, picture in enumerate(pictures):
        top, left = number // columns * height, number % columns * width
        canvas[top : top + height - _GAP, left : left + width - _GAP] = picture
    return canvas[:-_GAP, :-_GAP]


def _wrapped(elements: NDArray[np.float32]) -> NDArray[np.float32]:
    columns = min(_WIDEST, elements.size)
    canvas = np.full((math.ceil(elements.size / columns), columns), np.nan, np.float32)
    canvas.reshape(-1)[: elements.size] = elements
    return canvas
