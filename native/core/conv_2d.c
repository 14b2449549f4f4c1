/* CONV_2D: weights [output channel][kernel_h][kernel_w][input channel]. */
#include "internal.h"

/* One output element's sum without the bias: all taps inside, all input channels. */
static uint32_t convolve(const struct smg_step *step, const int8_t *weights, struct smg_taps rows,
                         struct smg_taps columns)
{
    const struct smg_window *window = &step->record->parameters.window;
    int32_t input_zero_point = step->input->zero_point;
    uint32_t width = step->input->dimensions[2];
    uint32_t channels = step->input->dimensions[3];
    uint32_t sum = 0;
    for (uint32_t i = rows.first; i < rows.end; ++i) {
        uint32_t y = (uint32_t)rows.origin + i * window->dilation_h;
        for (uint32_t j = columns.first; j < columns.end; ++j) {
            uint32_t x = (uint32_t)columns.origin + j * window->dilation_w;
            const int8_t *pixel = step->input_data + (y * width + x) * channels;
            const int8_t *tap = weights + (i * window->kernel_w + j) * channels;
            for (uint32_t k = 0; k < channels; ++k) {
                sum += (uint32_t)((pixel[k] - input_zero_point) * tap[k]);
            }
        }
    }
    return sum;
}

void smg_conv_2d(const struct smg_step *step)
{
    const struct smg_window *window = &step->record->parameters.window;
    const uint16_t *input = step->input->dimensions;
    const uint16_t *output = step->output->dimensions;
    struct smg_channels channels;
    struct smg_tiles tiles;
    smg_channels_open(&channels, step);
    smg_tiles_open(&tiles, step);
    while (smg_tiles_next(&tiles)) {
        int8_t *position = step->output_data;
        for (uint32_t r = 0; r < output[1]; ++r) {
            struct smg_taps rows =
                smg_window_taps(r, window->stride_h, window->pad_top, window->kernel_h, window->dilation_h, input[1]);
            for (uint32_t s = 0; s < output[2]; ++s) {
                struct smg_taps columns = smg_window_taps(s, window->stride_w, window->pad_left, window->kernel_w,
                                                          window->dilation_w, input[2]);
                const int8_t *weights = tiles.weights;
                for (uint32_t c = tiles.first; c < tiles.end; ++c) {
                    struct smg_channel channel;
                    smg_channels_read(&channels, c, &channel);
                    uint32_t sum = channel.bias + convolve(step, weights, rows, columns);
                    position[c] = smg_channel_output(step, &channel, sum);
                    weights += tiles.from.per_channel;
                }
                position += output[3];
            }
        }
    }
}
