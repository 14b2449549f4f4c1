"""The computer's microphone, through the optional package sounddevice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.errors import InputError


class MicrophoneSource:
    """Mono. The package buffers what comes while nobody reads; `lost` counts how often that was not enough."""

    is_live = True
    can_wait = False
    channels = 1

    def __init__(self, rate: float, device: str | None = None) -> None:
        try:
            import sounddevice
        except ImportError:
            raise InputError("a microphone needs the package sounddevice: pip install 'smidgen[microphone]'") from None
        except OSError as error:  # its library PortAudio
            raise InputError(f"sounddevice cannot be used: {error}") from error
        self.name = f"microphone {device}" if device else "microphone"
        self.rate = rate
        self.lost = 0
        chosen = int(device) if device and device.isdigit() else device
        try:
            self._stream: Any = sounddevice.InputStream(samplerate=rate, channels=1, dtype="float32", device=chosen)
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise InputError(f"cannot open the microphone at {rate:g} samples a second: {error}") from error

    def read(self, count: int) -> NDArray[np.float32]:
        samples, overflowed = self._stream.read(min(count, max(1, round(self.rate / 100))))
        self.lost += bool(overflowed)
        result: NDArray[np.float32] = samples
        return result

    def next_recording(self) -> bool:
        return False

    def close(self) -> None:
        self._stream.close()
