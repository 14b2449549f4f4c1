"""Sources of samples: each format, and what is refused."""

from __future__ import annotations

import io
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from smidgen.errors import InputError
from smidgen.stream.sensor import parse_sensor
from smidgen.stream.source import Source
from smidgen.stream.specification import open_source
from smidgen.stream.standard_input import PipeSource


def write_wav(path: Path, samples: NDArray[np.int16], rate: int = 16_000, width: int = 2) -> Path:
    """samples: [count, channels]"""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def read_all(source: Source, block: int = 3) -> NDArray[np.float32]:
    blocks = []
    while len(samples := source.read(block)):
        assert len(samples) <= block
        blocks.append(samples)
    return np.concatenate(blocks)


def test_mono_wav(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.array([[-32768], [16384], [0], [32767]], np.int16), 8000)
    source = open_source(str(path))
    assert (source.rate, source.channels, source.is_live) == (8000, 1, False)
    assert read_all(source).tolist() == [[-1.0], [0.5], [0.0], [32767 / 32768]]


def test_stereo_is_averaged(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.array([[100, 300], [-32768, -32768]], np.int16))
    assert read_all(open_source(str(path))).tolist() == [[200 / 32768], [-1.0]]


def test_csv_with_a_heading(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,2\n\n-3.5,4e-1\n")
    source = open_source(str(path), rate=50)
    assert (source.rate, source.channels) == (50, 2)
    assert read_all(source).tolist() == [[1, 2], [-3.5, np.float32(0.4)]]


def test_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(5, dtype=np.int16))
    assert read_all(open_source(str(tmp_path / "a.npy"))).tolist() == [[0], [1], [2], [3], [4]]
    samples = np.arange(6.0).reshape(3, 2)
    np.savez(tmp_path / "a.npz", samples=samples, labels=np.zeros(1), rate=np.array(25.0))
    source = open_source(str(tmp_path / "a.npz"))
    assert source.rate == 25
    assert read_all(source).tolist() == samples.tolist()


@pytest.mark.parametrize(
    ("encoding", "data", "expected"),
    [
        ("int16", np.array([1, -2, 32767, -32768, 5], "<i2").tobytes(), [[1, -2], [32767, -32768]]),
        ("float32", np.array([1.5, 2, 3, 4], "<f4").tobytes() + b"\1\2", [[1.5, 2], [3, 4]]),
        ("csv", b"a,b\n1,2\n\n3,4", [[1, 2], [3, 4]]),
    ],
)
def test_standard_input(encoding: str, data: bytes, expected: list[list[float]]) -> None:
    """What is left at the end and no whole sample is not used."""
    step = 1 / 32768 if encoding == "int16" else 1
    assert read_all(PipeSource(io.BytesIO(data), encoding, 2, None)).tolist() == [
        [a * step for a in e] for e in expected
    ]


def test_lines_with_other_channels() -> None:
    with pytest.raises(InputError, match="line 2: 3 values, not 2: --channels says how many"):
        read_all(PipeSource(io.BytesIO(b"a,b\n1,2,3\n"), "csv", 2, None))


def test_a_pipe_that_gives_half_samples() -> None:
    class Slow(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return super().read1(min(3, size or 0))

    data = np.arange(10, dtype="<i2").tobytes()
    samples = read_all(PipeSource(Slow(data), "int16", 2, 100.0))
    assert (samples * 32768).tolist() == np.arange(10).reshape(5, 2).tolist()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.wav", b"RIFF", "cannot read"),
        ("a.csv", b"1,2\n3\n", "line 2: 1 values, the lines before it have 2"),
        ("a.csv", b"1,2\n3,x\n", "line 2: 'x' is not a number"),
        ("a.csv", b"x,y\n", "has no samples"),
        ("a.csv", b"1\nnan\n", "sample 1 is not finite"),
        ("a.csv", b"\xff\xfe", "cannot read"),
        ("a.npy", b"nothing", "a.npy"),
        ("a.mp3", b"", "is no source"),
    ],
)
def test_malformed_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), 1e-300, 0.0])
def test_impossible_rates(tmp_path: Path, rate: float) -> None:
    np.save(tmp_path / "a.npy", np.zeros(4, np.float32))
    with pytest.raises(InputError, match=r"samples a second; 0\.001 to 10000000 are possible"):
        open_source(str(tmp_path / "a.npy"), rate=rate)


def test_csv_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf1,2\n3,4\n")
    assert read_all(open_source(str(tmp_path / "a.csv"))).tolist() == [[1, 2], [3, 4]]


def test_unsuitable_wavs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="16 bits and 3 channels"):
        open_source(str(write_wav(tmp_path / "a.wav", np.zeros((4, 3), np.int16))))
    with pytest.raises(InputError, match="8 bits and 1 channels"):
        open_source(str(write_wav(tmp_path / "b.wav", np.zeros((4, 1), np.int16), width=1)))
    with pytest.raises(InputError, match="16000 samples a second, not 8000"):
        open_source(str(write_wav(tmp_path / "c.wav", np.zeros((4, 1), np.int16))), rate=8000)
    with pytest.raises(InputError, match="No such file"):
        open_source(str(tmp_path / "none.wav"))


def test_unsuitable_arrays(tmp_path: Path) -> None:
    for array, message in (
        (np.zeros((2, 2, 2)), r"\[2, 2, 2\]"),
        (np.array(["a"]), "<U1"),
        (np.zeros(0), "no samples"),
    ):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(InputError, match=message):
            open_source(str(tmp_path / "a.npy"))
    np.savez(tmp_path / "a.npz", a=np.zeros(2), b=np.zeros(2))
    with pytest.raises(InputError, match="has the arrays a, b; one must be called samples"):
        open_source(str(tmp_path / "a.npz"))


def test_recordings_of_a_data_set(tmp_path: Path) -> None:
    """Each is read to its end, the empty one too."""
    samples = np.arange(10.0).reshape(10, 1)
    np.savez(tmp_path / "a.npz", samples=samples, starts=np.array([0, 4, 4]), rate=np.array(25.0))
    source = open_source(str(tmp_path / "a.npz"))
    assert read_all(source).reshape(-1).tolist() == [0, 1, 2, 3]
    assert source.next_recording() and not len(source.read(3))
    assert source.next_recording() and read_all(source).reshape(-1).tolist() == [4, 5, 6, 7, 8, 9]
    assert not source.next_recording() and not len(source.read(3))


@pytest.mark.parametrize("starts", [[1], [0, 5, 4], [0, 11], [0.0], [[0]], []])
def test_impossible_starts(tmp_path: Path, starts: list[float]) -> None:
    np.savez(tmp_path / "a.npz", samples=np.zeros(10), starts=np.array(starts))
    with pytest.raises(InputError, match="starts are rising int64, from 0 to at most 10"):
        open_source(str(tmp_path / "a.npz"))


def test_a_microphone_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(InputError, match=r"needs the package sounddevice: pip install 'smidgen\[microphone\]'"):
        open_source("microphone")


def test_sensors_of_the_board(tmp_path: Path) -> None:
    assert parse_sensor("board:adc,pin=26,rate=1000").arguments == "pin=26, rate=1000"
    own = tmp_path / "own.py"
    own.write_text("class Mine:\n    pass\n")
    specification = parse_sensor(f"board:{own}:Mine,port=P1")
    assert (specification.reader, specification.arguments) == ("Mine", "port='P1'")
    own.write_text("class Mine:")
    for text, message in (
        ("board:nothing", "is no sensor"),
        ("board:adc,26", "'26' is no option"),
        ("board:adc,a b=2", "is no option"),
        (f"board:{own}:Mine", "cannot read"),
        (f"board:{own}:1", "is no sensor"),
    ):
        with pytest.raises(InputError, match=message):
            parse_sensor(text)
