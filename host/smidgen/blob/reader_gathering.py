"""What kernel 1 of the convolutions gathers in its workspace (docs/format.md, section 6)."""

from __future__ import annotations

from dataclasses import dataclass

from smidgen.network import WindowParameters


@dataclass(frozen=True)
class Gathering:
    """Rows of words for the pairs of one block, and how many output channels are decoded at a time."""

    row_words: int
    rows: int
    decoded_channels: int

    @staticmethod
    def of(
        window: WindowParameters, output_size: tuple[int, int], channels: int, decoded_channels: int, tile: int
    ) -> Gathering:
        """output_size: height, width. channels: of the input, that a row holds. tile: pairs of rows in a block."""
        (kernel_h, kernel_w), (stride_h, stride_w) = window.kernel, window.stride
        pointwise = window.kernel == window.stride == (1, 1)
        output_height, output_width = output_size
        pixels = 1 if pointwise else (output_width - 1) * stride_w + kernel_w
        pairs = (output_height * (output_width if pointwise else 1) + 1) // 2
        taps_h = (kernel_h - 1) * window.dilation[0] + 1
        period = min(taps_h, (1 if tile >= pairs else 2) * stride_h)
        return Gathering(pixels * channels, (tile - 1) * period + taps_h, decoded_channels)

    def needed_bytes(self, coded_weights_per_channel: int) -> int:
        """The smallest workspace; coded_weights_per_channel is 0 when the weights are raw."""
        decoded = self.decoded_channels * coded_weights_per_channel
        return (decoded + 3) // 4 * 4 + 4 * self.row_words * self.rows
