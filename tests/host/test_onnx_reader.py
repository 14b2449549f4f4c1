"""Reading .onnx files. The judge is onnxruntime: of float models in floats, of QDQ models operator by operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from onnx_models import MODELS, convolutional, floats, model, node  # noqa: E402

from smidgen import graph as g  # noqa: E402
from smidgen.arrays import as_channels_last  # noqa: E402
from smidgen.errors import InputError, ModelError  # noqa: E402
from smidgen.formats.onnx_reader import parse_onnx, read_onnx  # noqa: E402
from smidgen.formats.unsupported import UnsupportedModelError  # noqa: E402
from smidgen.lower import lower  # noqa: E402
from smidgen.packer import pack, pack_graph  # noqa: E402
from smidgen.passes import simplify  # noqa: E402
from smidgen.reference.float_executor import run_float  # noqa: E402
from smidgen.reference.kernels import run_operator  # noqa: E402


def _session(made: Any) -> Any:
    """Without fusing operators: QDQ models then compute in floats between integers, as ONNX defines it."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _samples(made: Any, count: int) -> np.ndarray:
    shape = [d.dim_value or 1 for d in made.graph.input[0].type.tensor_type.shape.dim]
    return np.random.default_rng(7).standard_normal((count, *shape)).astype(np.float32)


def _run_float(graph: g.Graph, sample: np.ndarray) -> np.ndarray:
    (name,) = graph.inputs
    if name in graph.metadata.get("channels_first", {}):
        sample = as_channels_last(sample, graph.metadata["channels_first"][name])
    values = run_float(graph, {name: sample.reshape(1, *graph.tensors[name].shape)})
    return values[graph.outputs[0]]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("simplified", [False, True])
def test_float_models_compute_what_onnxruntime_computes(name: str, simplified: bool) -> None:
    made = MODELS[name]()
    graph = parse_onnx(made.SerializeToString(), name)
    assert not graph.is_quantized
    if simplified:
        simplify(graph)
    session = _session(made)
    for sample in _samples(made, 3):
        (wanted,) = session.run(None, {"x": sample})
        if wanted.ndim == 4:  # the graph's pictures are channels last
            wanted = np.moveaxis(wanted, 1, -1)
        got = _run_float(graph, sample)
        np.testing.assert_allclose(got.reshape(-1), wanted.reshape(-1), rtol=1e-4, atol=1e-5)


def test_batch_normalisation_and_activations_disappear() -> None:
    graph = simplify(parse_onnx(convolutional().SerializeToString()))
    kinds = [operator.kind for operator in graph.operators]
    assert "MUL" not in kinds and "RELU" not in kinds and "RELU6" not in kinds and "RESHAPE" not in kinds
    assert kinds.count("CONV_2D") == 2 and kinds.count("DEPTHWISE_CONV_2D") == 1


class _Reader:
    """Calibration data for onnxruntime's static quantisation."""

    def __init__(self, samples: np.ndarray) -> None:
        self._samples = iter([{"x": sample} for sample in samples])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._samples, None)


def _quantized_by_onnxruntime(made: Any, folder: Path, activations: str, per_channel: bool) -> Any:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    made_file, source, target = folder / "made.onnx", folder / "float.onnx", folder / "int8.onnx"
    onnx.save(made, made_file)
    quant_pre_process(made_file, source, skip_symbolic_shape=True)  # folds batch normalisation
    quantize_static(
        source, target, _Reader(_samples(made, 20)), quant_format=QuantFormat.QDQ, per_channel=per_channel,
        activation_type=QuantType[activations], weight_type=QuantType.QInt8,
        extra_options={"WeightSymmetric": True},
    )  # fmt: skip
    return onnx.load(target)


@pytest.mark.parametrize(
    ("name", "activations", "per_channel"),
    [("convolutional", "QInt8", True), ("convolutional", "QUInt8", False), ("rows", "QInt8", True),
     ("joined", "QUInt8", True), ("dense", "QInt8", False), ("by_mean", "QInt8", True)],
)  # fmt: skip
def test_quantised_by_onnxruntime(name: str, activations: str, per_channel: bool, tmp_path: Path) -> None:
    """Every operator of ours, given onnxruntime's integers, gives onnxruntime's integers, to one step."""
    quantized = _quantized_by_onnxruntime(MODELS[name](), tmp_path, activations, per_channel)
    compared, worst = _compare_operators(quantized, _samples(quantized, 4))
    assert worst <= 1 and compared >= 2


@pytest.mark.parametrize(
    ("name", "golden"),
    [("kws_ref_model", "kws_ref_model"), ("resnet", "pretrainedResnet_quant"), ("deep_autoencoder", "ad01_int8")],
)
def test_real_models(name: str, golden: str) -> None:
    """MLPerf Tiny's networks as QDQ: every operator equals onnxruntime to one step of its output."""
    from models import FOLDER, golden_path

    path = FOLDER / "onnx" / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"the model file {path.name} is not here (looked in {FOLDER}; set SMIDGEN_MODELS)")
    made = onnx.load(path)
    network = lower(simplify(read_onnx(path)))
    with np.load(golden_path(golden)) as arrays:
        integers = arrays["input"][:8].astype(np.float32)
    tensor = network.tensors[0]
    shape = [d.dim_value for d in made.graph.input[0].type.tensor_type.shape.dim]
    samples = ((integers - tensor.zero_point) * np.float32(tensor.scale)).reshape(-1, *shape)
    compared, worst = _compare_operators(made, samples.astype(np.float32))
    assert worst <= 1 and compared == len(network.operators) - (name != "deep_autoencoder")


def _compare_operators(made: Any, samples: np.ndarray) -> tuple[int, int]:
    """(operators compared, largest difference): each gets the integers that onnxruntime gave the one before it."""
    network = lower(simplify(parse_onnx(made.SerializeToString())))
    graph = simplify(parse_onnx(made.SerializeToString()))
    integers = _integer_tensors(made)
    kinds = {item.name: item.data_type for item in made.graph.initializer}
    for item in made.graph.node:
        if item.op_type == "QuantizeLinear" and item.output[0] in integers.values():
            made.graph.output.append(onnx.helper.make_tensor_value_info(item.output[0], kinds[item.input[2]], None))
    session = _session(made)
    names = [item.name for item in session.get_outputs()]
    compared, worst = set(), 0
    for sample in samples:
        results = dict(zip(names, session.run(None, {session.get_inputs()[0].name: sample}), strict=True))
        known = {}
        for index, tensor in enumerate(network.tensors):
            if tensor.data is not None:
                known[index] = tensor.data.reshape(tensor.shape)
            elif tensor.name in integers:
                known[index] = _arranged(results[integers[tensor.name]], graph, tensor.shape)
        for index, operator in enumerate(network.operators):
            sources = {operator.input, getattr(operator, "input2", operator.input)}
            if operator.output not in known or not sources <= known.keys() or operator.kind.name == "COPY":
                continue
            shape = network.tensors[operator.output].shape
            got = run_operator(network, operator, known, np.zeros(shape, np.int8)).reshape(shape)
            worst = max(worst, int(np.abs(got.astype(int) - known[operator.output].astype(int)).max()))
            compared.add(index)
    return len(compared), worst


def _integer_tensors(made: Any) -> dict[str, str]:
    """Name of a real tensor -> name of the integers that QuantizeLinear makes of it."""
    found = {}
    constants = {item.name for item in made.graph.initializer}
    for item in made.graph.node:
        if item.op_type == "QuantizeLinear" and item.input[0] not in constants:
            found[item.input[0]] = item.output[0]
    producers = {item.output[0]: item for item in made.graph.node}
    for name in list(found):  # an operator's own name stays with the tensor that its RELU gives, and with views of it
        source = name
        while source in producers and producers[source].op_type in ("Reshape", "Transpose", "Flatten"):
            source = producers[source].input[0]
            found.setdefault(source, found[name])
    return found


def _arranged(array: np.ndarray, graph: g.Graph, shape: tuple[int, ...]) -> np.ndarray:
    """onnxruntime's integers, int8 and channels last."""
    if array.dtype == np.uint8:
        array = (array.astype(np.int16) - 128).astype(np.int8)
    if array.ndim in (3, 4) and array.shape[0] == 1 and array.shape != shape:
        array = np.moveaxis(array, 1, -1)
    return np.ascontiguousarray(array).reshape(shape)


def test_a_quantised_model_becomes_a_blob(tmp_path: Path) -> None:
    quantized = _quantized_by_onnxruntime(convolutional(), tmp_path, "QInt8", True)
    assert len(pack_graph(parse_onnx(quantized.SerializeToString()))) > 500


def test_a_float_file_is_packed_with_calibration_in_its_own_layout(tmp_path: Path) -> None:
    """And samples for the blob may have the model's layout, or the blob's."""
    from smidgen.samples import load_inputs

    onnx.save(convolutional(), tmp_path / "net.onnx")
    samples = _samples(convolutional(), 12)[:, 0]
    np.save(tmp_path / "inputs.npy", samples)
    np.save(tmp_path / "last.npy", np.moveaxis(samples, 1, -1))
    packed = pack(tmp_path / "net.onnx", calibration=tmp_path / "inputs.npy")
    network = packed.blob.network
    assert network.tensors[0].shape == (1, 12, 10, 3)
    first, last = (load_inputs(tmp_path / name, network) for name in ("inputs.npy", "last.npy"))
    assert len(first) == len(last) == 12
    assert all(np.array_equal(a, b) for x, y in zip(first, last, strict=True) for a, b in zip(x, y, strict=True))


def test_everything_that_cannot_run_is_listed() -> None:
    made = model(
        [node("Erf", ["x"], "e"), node("Relu", ["e"], "r"), node("Cos", ["x"], "c"), node("Add", ["r", "c"], "y")],
        {}, [1, 4],
    )  # fmt: skip
    with pytest.raises(UnsupportedModelError) as caught:
        parse_onnx(made.SerializeToString(), "net.onnx")
    assert [problem.name for problem in caught.value.problems] == ["Erf", "Cos"]


@pytest.mark.parametrize(
    ("nodes", "constants", "shape", "words"),
    [
        ([node("Conv", ["x", "w"], "y", group=2)], {"w": floats(0, 4, 2, 1, 1)}, [1, 4, 3, 3], "in 2 groups of 2"),
        ([node("Clip", ["x", "a", "b"], "y")], {"a": np.float32(-1), "b": np.float32(1)}, [1, 4], "-1.0 .. 1.0"),
        ([node("Transpose", ["x"], "t", perm=[0, 2, 1]), node("MatMul", ["t", "w"], "y")], {"w": floats(0, 5, 2)},
         [1, 5, 3], "transposed while the network runs"),
        ([node("MaxPool", ["x"], "y", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)], {}, [1, 2, 5, 5], "ceil"),
        ([node("Gemm", ["x", "w"], "y", alpha=0.5)], {"w": floats(0, 4, 4)}, [1, 4], "alpha 0.5"),
    ],
)  # fmt: skip
def test_reasons(nodes: Any, constants: Any, shape: Any, words: str) -> None:
    with pytest.raises(UnsupportedModelError, match=words):
        parse_onnx(model(nodes, constants, shape).SerializeToString())


def test_a_half_quantised_model_is_refused(tmp_path: Path) -> None:
    quantized = _quantized_by_onnxruntime(MODELS["dense"](), tmp_path, "QInt8", False)
    nodes = list(quantized.graph.node)
    quantizer = next(item for item in nodes if item.op_type == "QuantizeLinear" and item.input[0] != "x")
    reader = next(item for item in nodes if item.op_type == "DequantizeLinear" and item.input[0] == quantizer.output[0])
    for item in nodes:
        for position, name in enumerate(item.input):
            if name == reader.output[0]:
                item.input[position] = quantizer.input[0]
    quantized.graph.node.remove(quantizer)
    quantized.graph.node.remove(reader)
    with pytest.raises(ModelError, match="quantise all activations"):
        parse_onnx(quantized.SerializeToString())


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the model"):
        read_onnx(tmp_path / "none.onnx")
    whole = MODELS["dense"]().SerializeToString()
    for data in (b"", b"nonsense", whole[: len(whole) // 2]):
        with pytest.raises(ModelError, match=r"no complete \.onnx file"):
            parse_onnx(data)
    with pytest.raises(ModelError, match=r"end in \.tflite or \.onnx"):
        pack(tmp_path / "model.h5")
