"""The module `smidgen` of a board, for editors and type checkers. On a computer, `smidgen` is another package."""

from array import array
from collections.abc import Iterable
from typing import Any, TypeAlias

__version__: str

_Int8: TypeAlias = bytes | bytearray | memoryview | array[int]
_Samples: TypeAlias = Iterable[float] | _Int8

class Model:
    """A loaded network. source: path of a .smg file, or its bytes in a buffer, which is used in place.

    Raises ValueError for a blob that is refused, MemoryError when there is no RAM for its arena, OSError when the file
    cannot be read. Do not change the blob while it is in use.
    """

    arena_bytes: int
    """RAM that the model works in, besides the blob."""
    scratch_bytes: int
    """Of the arena, what operators use besides tensors, at most."""
    tensors: int
    """How many tensors there are: inputs first, then outputs, then the others."""
    inputs: tuple[memoryview, ...]
    """Views of the arena to write int8 samples to. A run uses them up: their memory may serve other tensors."""
    outputs: tuple[memoryview, ...]
    """Views of the int8 results."""

    def __init__(self, source: str | _Int8) -> None: ...
    @property
    def input(self) -> memoryview:
        """View of the first input. Assign int8 data in a buffer (bytes, array("b")) to copy it there."""

    @input.setter
    def input(self, samples: _Int8) -> None: ...
    @property
    def output(self) -> memoryview:
        """View of the first output."""

    @property
    def metadata(self) -> dict[str, Any]:
        """The blob's metadata."""

    @property
    def labels(self) -> list[str] | None:
        """Names of the classes, or None."""

    def run(self, until: int | None = None) -> None:
        """Run all operators, or those up to number `until`. Ctrl-C works between operators."""

    def predict(self, *inputs: _Samples) -> Any:
        """Run on real numbers (any iterable), or on int8 data in a buffer of bytes; returns the real outputs.

        A list of floats, or a tuple of such lists for a model with several outputs. Raises ValueError when an input
        has the wrong number of elements.
        """

    def top(self, count: int = 3) -> list[tuple[str | int, float]]:
        """The best classes of the first output: [(label, or index without labels, score), ...], best first.

        Raises ValueError unless the model has run to its end.
        """

    def info(self, index: int) -> tuple[tuple[int, ...], float, int]:
        """(shape, scale, zero point) of a tensor. real value = scale * (q - zero point)"""

    def tensor(self, index: int) -> memoryview:
        """View of a tensor as the last run left it; ValueError if it does not hold its values (any more)."""

    def profile(self) -> list[tuple[int, str, tuple[int, ...], int, int]]:
        """Run once: [(index, operator, output shape, multiply-accumulates, microseconds), ...]

        Printed, it is a table. For its times only: there are no scores afterwards.
        """

    def selftest(self) -> int:
        """Run the golden vectors in the blob and compare every element; returns how many there are.

        Raises ValueError when an element differs, or the blob has none.
        """
