"""Inputs for the keyword network, spoken by speech synthesizers: espeak-ng, and flite for another kind of voice.

Both are Debian packages of the same names. Every sound is a word of a random voice, speed and pitch, in a room and with
noise, moved inside its second: what a microphone would make of it. Everything follows from the seed.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.quantization_inputs import mfcc
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Generator = np.random.Generator

SAMPLE_RATE = 16_000
CLASSES = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes", "silence", "unknown")
OTHER_WORDS = (
    "bed", "bird", "cat", "dog", "eight", "five", "four", "happy", "house", "marvin", "nine", "one", "seven", "sheila",
    "six", "three", "tree", "two", "wow", "zero", "backward", "forward", "follow", "learn", "visual",
)  # fmt: skip
_FRAMES = 480, 640  # 30 ms as the network was trained, and 40 ms as its input is described elsewhere
_SILENCE, _UNKNOWN = CLASSES.index("silence"), CLASSES.index("unknown")

_ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029")
_VARIANTS = (
    "", "f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "adam", "anika", "benjamin",
    "belinda", "caleb", "david", "edward", "grandma", "grandpa", "iven", "john", "linda", "marcelo", "max", "michael",
    "norbert", "paul", "quincy", "rob", "robert", "sandro", "shelby", "steph", "travis", "Alex", "Andy", "Annie",
    "Gene", "Lee", "Mike",
)  # fmt: skip
_FLITE_VOICES = ("kal16", "awb", "rms", "slt")


@dataclass(frozen=True)
class Words:
    """features: [samples, 49, 10, 1] float32, as the float network takes them. labels: indices of CLASSES."""

    features: Floats
    labels: NDArray[np.int64]


def has_synthesizer(program: str) -> bool:
    """Whether espeak-ng or flite is installed."""
    return shutil.which(program) is not None


def spoken_words(program: str, count: int, seed: int) -> Words:
    """`count` sounds as 49 x 10 features; all classes equally often. program: "espeak-ng" or "flite"."""
    speak = {"espeak-ng": _espeak, "flite": _flite}[program]
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(count) % len(CLASSES))
    features = []
    for number, label in enumerate(labels):
        word = None if label == _SILENCE else speak(_word(int(label), random), random)
        sound = _sound(word, random)
        features.append(mfcc(sound / np.abs(sound).max(), _FRAMES[number % len(_FRAMES)]))
    return Words(np.array(features), labels)


def _word(label: int, random: Generator) -> str:
    return str(random.choice(OTHER_WORDS)) if label == _UNKNOWN else CLASSES[label]


def _espeak(word: str, random: Generator) -> Floats:
    voice = str(random.choice(_ACCENTS))
    variant = str(random.choice(_VARIANTS))
    options = ["-v", f"{voice}+{variant}" if variant else voice]
    options += ["-s", str(random.integers(90, 210)), "-p", str(random.integers(10, 90))]
    spoken = subprocess.run(["espeak-ng", *options, "--stdout", word], capture_output=True, check=True).stdout
    return _samples(spoken)


def _flite(word: str, random: Generator) -> Floats:
    options = ["-voice", str(random.choice(_FLITE_VOICES))]
    options += ["--setf", f"duration_stretch={random.uniform(0.75, 1.5):.2f}"]
    options += ["--setf", f"int_f0_target_mean={random.uniform(85, 220):.0f}"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        subprocess.run(["flite", *options, "-t", word, "-o", str(path)], capture_output=True, check=True)
        return _samples(path.read_bytes())


def _samples(spoken: bytes) -> Floats:
    """Samples at 16 kHz, without silence at both ends."""
    with wave.open(io.BytesIO(spoken)) as recording:
        rate = recording.getframerate()
        sound = np.frombuffer(recording.readframes(2**30), "<i2").astype(np.float32)
    sound = _resampled(sound, SAMPLE_RATE / rate)
    loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
    return sound[loud[0] : loud[-1] + 1]


def _resampled(sound: Floats, factor: float) -> Floats:
    """Band-limited resampling through the spectrum."""
    count = round(len(sound) * factor)
    spectrum = np.fft.rfft(sound)[: count // 2 + 1]
    return np.asarray(np.fft.irfft(spectrum, count), np.float32)


def _sound(word: Floats | None, random: Generator) -> Floats:
    """One second: the word somewhere in it, in a room, with noise that is 5 to 60 dB weaker."""
    noise = _noise(random)
    if word is None:
        return noise
    word = _in_room(word, random)[:SAMPLE_RATE]
    start = int(random.integers(0, SAMPLE_RATE - len(word) + 1))
    centre = (SAMPLE_RATE - len(word)) // 2
    start = int(np.clip(start, centre - 3200, centre + 3200))
    sound = np.zeros(SAMPLE_RATE, np.float32)
    sound[start : start + len(word)] = word / np.abs(word).max()
    return np.asarray(sound + noise / np.abs(noise).max() * 10 ** -random.uniform(0.25, 3.0), np.float32)


def _in_room(word: Floats, random: Generator) -> Floats:
    """The word with decaying echoes, through a microphone that favours some frequencies."""
    length = int(random.uniform(0.02, 0.25) * SAMPLE_RATE)
    echoes = random.normal(size=length) * np.exp(-np.arange(length) / (length / 5)) * random.uniform(0.0, 0.15)
    echoes[0] = 1.0
    size = len(word) + length
    frequencies = np.linspace(0, 1, size // 2 + 1)
    tilt = (0.02 + frequencies) ** random.uniform(-0.3, 0.6)
    spectrum = np.fft.rfft(word, size) * np.fft.rfft(echoes, size) * tilt
    return np.asarray(np.fft.irfft(spectrum, size), np.float32)


def _noise(random: Generator) -> Floats:
    """Noise of a random colour whose loudness varies slowly."""
    spectrum = np.fft.rfft(random.normal(size=SAMPLE_RATE))
    spectrum *= np.maximum(np.arange(len(spectrum)), 20.0) ** random.uniform(-1.2, 0.1)
    loudness = np.interp(np.arange(SAMPLE_RATE), np.linspace(0, SAMPLE_RATE, 6), random.uniform(0.3, 1.0, 6))
    return np.asarray(np.fft.irfft(spectrum, SAMPLE_RATE) * loudness, np.float32)
