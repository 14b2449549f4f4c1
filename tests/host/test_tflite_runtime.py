"""A second judge: tflite-runtime 2.14 with its reference kernels agrees with TFLite Micro on every operator.

That package was built for NumPy 1 and Python up to 3.11; where it does not run, this file is skipped whole.
"""

from __future__ import annotations

import numpy as np
import pytest
from operator_cases import CASES, Case, activations, float_graph, int8_graph, run_tflm

from smidgen import graph as g
from smidgen.formats.tflite_writer import write_tflite

if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
    pytest.skip(f"tflite-runtime 2.14 needs NumPy 1, this is {np.__version__}", allow_module_level=True)
runtime = pytest.importorskip("tflite_runtime.interpreter", reason="tflite-runtime is not installed")

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def run_tflite(model: bytes, inputs: list[g.Array]) -> g.Array:
    reference = runtime.OpResolverType.BUILTIN_REF
    interpreter = runtime.Interpreter(model_content=model, experimental_op_resolver_type=reference)
    interpreter.allocate_tensors()
    for detail, x in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], x)
    interpreter.invoke()
    return np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


@every_case
def test_int8_is_as_in_tflite_micro(case: Case) -> None:
    inputs = activations(case, np.int8)
    model = write_tflite(int8_graph(case, inputs)[0])
    np.testing.assert_array_equal(run_tflite(model, inputs), run_tflm(model, inputs))


@every_case
def test_float_is_close_to_numpy(case: Case) -> None:
    inputs = activations(case, np.float32)
    graph, expected = float_graph(case, inputs)
    np.testing.assert_allclose(run_tflite(write_tflite(graph), inputs), expected, rtol=1e-5, atol=1e-5)
