"""How a blob says that its operators are run, in the planner's terms, so that their cost can be predicted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from smidgen.blob.contents import Blob
from smidgen.huffman import build_code_table
from smidgen.network import WeightedOperator
from smidgen.plan.execution import Execution
from smidgen.plan.weights import coded_symbol_counts, symbols_to_code


def blob_executions(blob: Blob) -> Mapping[int, Execution]:
    """By operator index, for operators with weights.

    A code table is the one that the packager builds for all weights that share it.
    """
    counts: dict[int, NDArray[np.int64]] = defaultdict(lambda: np.zeros(256, np.int64))
    for index, storage in blob.storage.items():
        operator = blob.network.operators[index]
        if isinstance(operator, WeightedOperator) and storage.coding != "raw":
            counts[storage.code_table_offset] += coded_symbol_counts(operator.weights, storage.zero_runs)
    tables = {offset: build_code_table(symbols_to_code(count)) for offset, count in counts.items()}
    return {
        index: Execution(
            storage.kernel,
            storage.tile,
            storage.workspace_bytes,
            None if storage.coding == "raw" else tables[storage.code_table_offset],
            storage.zero_runs,
        )
        for index, storage in blob.storage.items()
    }
