"""How a blob says that its operators are run, in the planner's terms, so that their cost can be predicted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from smidgen.blob.contents import Blob
from smidgen.huffman import build_code_table, symbol_counts
from smidgen.network import WeightedOperator
from smidgen.plan.execution import Execution


def blob_executions(blob: Blob) -> Mapping[int, Execution]:
    """By operator index, for operators with weights.

    A code table is the one that the packager builds for all weights that share it.
    """
    counts: dict[int, NDArray[np.int64]] = defaultdict(lambda: np.zeros(256, np.int64))
    for index, storage in blob.storage.items():
        operator = blob.network.operators[index]
        if isinstance(operator, WeightedOperator) and storage.coding == "huffman":
            counts[storage.code_table_offset] += symbol_counts(operator.weights)
    tables = {offset: build_code_table(count) for offset, count in counts.items()}
    return {
        index: Execution(
            storage.kernel,
            storage.tile,
            storage.workspace_bytes,
            tables[storage.code_table_offset] if storage.coding == "huffman" else None,
        )
        for index, storage in blob.storage.items()
    }
