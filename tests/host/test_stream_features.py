"""Preprocessing of streams: features, and the settings in the metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from models import FOLDER, model_path
from smidgen.blob.reader import read_blob_file
from smidgen.cli.app import cli
from smidgen.errors import InputError
from smidgen.formats.tflite_reader import read_tflite
from smidgen.reference import run_network
from smidgen.samples import quantize_samples
from smidgen.stream.features import FeatureExtractor, FeatureSettings, mel_filters
from smidgen.stream.preprocessing import Preprocessing, Preprocessor, load_preprocessing, parse_preprocessing
from smidgen.stream.specification import open_source

SETTINGS = FeatureSettings()


def test_features_do_not_depend_on_the_blocks() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    whole = FeatureExtractor(SETTINGS).frames(samples)
    assert whole.shape == (49, 10)  # a second, as the keyword spotting network takes it
    extractor = FeatureExtractor(SETTINGS)
    parts = [extractor.frames(part) for part in np.split(samples, [1, 300, 639, 640, 641, 9000])]
    assert np.array_equal(np.concatenate(parts), whole)


def test_a_frame_by_the_definition() -> None:
    """Sums written out, in place of matrices and a fast transform."""
    settings = FeatureSettings(rate=1000, window_ms=20, stride_ms=10, filters=6, coefficients=4, upper_hz=450)
    samples = np.random.default_rng(1).normal(0, 1, 20).astype(np.float32)
    n = np.arange(20)
    windowed = samples * np.sin(np.pi * n / 20) ** 2
    spectrum = [abs(np.sum(windowed * np.exp(-2j * np.pi * k * n / 32))) for k in range(17)]
    mels = [2595 * np.log10(1 + k * 1000 / 32 / 700) for k in range(17)]
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (20, 450))
    step = (high - low) / 7
    logarithms = []
    for m in range(6):
        energy = 0.0
        for k in range(1, 17):
            energy += spectrum[k] * max(0.0, 1 - abs(mels[k] - (low + (m + 1) * step)) / step)
        logarithms.append(np.log(energy + 1e-6))
    expected = [
        np.sqrt(2 / 6) * sum(logarithms[m] * np.cos(np.pi * c * (m + 0.5) / 6) for m in range(6)) for c in range(4)
    ]
    (frame,) = FeatureExtractor(settings).frames(samples)
    assert frame == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_log_mel_is_what_mfcc_is_made_of() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 640).astype(np.float32)
    assert FeatureExtractor(FeatureSettings(coefficients=0)).frames(samples).shape == (1, 40)
    weights = mel_filters(SETTINGS, 1024)
    assert weights.shape == (513, 40) and not weights[0].any() and weights.max() <= 1 and weights.min() == 0


@pytest.mark.parametrize("word", ["yes", "no"])
def test_the_keyword_network_hears_the_word(word: str) -> None:
    path = FOLDER / "tflite-micro" / f"{word}_1000ms.wav"
    model = model_path("kws_ref_model")
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    from smidgen.lower import lower
    from smidgen.passes import simplify

    network = lower(simplify(read_tflite(model)))
    frames = Preprocessor(parse_preprocessing("mfcc")).frames(open_source(str(path)).read(16_000))
    tensor = network.tensors[0]
    (output,) = run_network(network, [quantize_samples(frames, tensor.scale, tensor.zero_point).reshape(tensor.shape)])
    labels = ["down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes", "silence", "unknown"]
    assert labels[int(output.argmax())] == word


def test_scale_and_offset_of_each_channel() -> None:
    preprocessing = parse_preprocessing({"kind": "raw", "scale": [2, 0.5], "offset": 1})
    assert preprocessing == Preprocessing("raw", (2.0, 0.5), (1.0,))
    frames = Preprocessor(preprocessing).frames(np.array([[1, 2], [3, 4]], np.float32))
    assert frames.tolist() == [[3, 2], [7, 3]]
    assert preprocessing.width(2) == 2
    with pytest.raises(InputError, match="2 values of scale, the source has 3 channels"):
        preprocessing.width(3)


def test_features_need_their_rate_and_one_channel() -> None:
    mfcc = parse_preprocessing("mfcc")
    assert (mfcc.width(1), mfcc.frame_rate(16_000)) == (10, 50)
    with pytest.raises(InputError, match="need 16000 samples a second, the source has 8000: convert it first"):
        mfcc.frame_rate(8000)
    with pytest.raises(InputError, match="one channel of audio; the source has 2"):
        mfcc.width(2)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "a name or an object"),
        ("fft", "there is no preprocessing 'fft'"),
        ({}, "there is no preprocessing None"),
        ({"kind": []}, "there is no preprocessing"),
        ({"kind": "raw", "rate": 3}, "no setting 'rate'"),
        ({"kind": "raw", "scale": "a"}, "scale is a number"),
        ({"kind": "raw", "scale": [1, True]}, "scale is a number"),
        ({"kind": "raw", "scale": []}, "scale is a number"),
        ({"kind": "mfcc", "offset": float("inf")}, "offset is a number"),
        ({"kind": "mfcc", "rate": 16000.5}, "whole number"),
        ({"kind": "mfcc", "rate": 10**9}, "rate is 1 to"),
        ({"kind": "mfcc", "filters": 10**6}, "1 to 512 filters"),
        ({"kind": "mfcc", "coefficients": 41}, "at most as many coefficients"),
        ({"kind": "mfcc", "upper_hz": 9000}, "between 0 and 8000 Hz"),
        ({"kind": "mfcc", "window_ms": 1e9}, "window_ms and stride_ms"),
        ({"kind": "mfcc", "stride_ms": 0}, "window_ms and stride_ms"),
        ({"kind": "mfcc", "stride_ms": 0.001}, "a stride of one"),
    ],
)
def test_bad_settings(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_preprocessing(value)


def test_pack_writes_it_into_the_metadata(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"kind": "mfcc", "scale": 4}))
    blob = tmp_path / "kws.smg"
    arguments = ["pack", str(model_path("kws_ref_model")), "-o", str(blob), "--preprocessing"]
    result = CliRunner().invoke(cli, [*arguments, str(settings)])
    assert result.exit_code == 0, result.output
    assert parse_preprocessing(read_blob_file(blob).metadata["preprocessing"]).scale == (4.0,)
    assert isinstance(CliRunner().invoke(cli, [*arguments, "nothing"]).exception, InputError)


def test_files_of_settings(tmp_path: Path) -> None:
    assert load_preprocessing("log-mel") == "log-mel"
    with pytest.raises(InputError, match="and no such file"):
        load_preprocessing("nothing")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match="cannot read the preprocessing"):
        load_preprocessing(str(tmp_path / "a.json"))
