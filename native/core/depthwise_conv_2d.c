/* DEPTHWISE_CONV_2D: weights [output channel][kernel_h][kernel_w]. */
#include "internal.h"

/* One output element's sum without the bias, over the taps inside. */
static uint32_t convolve(const struct smg_step *step, const int8_t *weights, uint32_t input_channel,
                         struct smg_taps rows, struct smg_taps columns)
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
            int32_t value = step->input_data[(y * width + x) * channels + input_channel] - input_zero_point;
            sum += (uint32_t)(value * weights[i * window->kernel_w + j]);
        }
    }
    return sum;
}

void smg_depthwise_conv_2d(const struct smg_step *step)
{
    const struct smg_window *window = &step->record->parameters.window;
    const uint16_t *input = step->input->dimensions;
    const uint16_t *output = step->output->dimensions;
    uint32_t outputs_per_input = smg_divide(output[3], input[3]);
    struct smg_channels channels;
    struct smg_tiles tiles;
    smg_channels_open(&channels, step);
    smg_tiles_open(&tiles, step);
    while (smg_tiles_next(&tiles)) {
        const int8_t *weights = tiles.weights;
        for (uint32_t c = tiles.first; c < tiles.end; ++c) {
            uint32_t input_channel = smg_divide(c, outputs_per_input);
            struct smg_channel channel;
            smg_channels_read(&channels, c, &channel);
            uint32_t element = c;
            for (uint32_t r = 0; r < output[1]; ++r) {
                struct smg_taps rows = smg_window_taps(r, window->stride_h, window->pad_top, window->kernel_h,
                                                       window->dilation_h, input[1]);
                for (uint32_t s = 0; s < output[2]; ++s) {
                    struct smg_taps columns = smg_window_taps(s, window->stride_w, window->pad_left, window->kernel_w,
                                                              window->dilation_w, input[2]);
                    uint32_t sum = channel.bias + convolve(step, weights, input_channel, rows, columns);
                    step->output_data[element] = smg_channel_output(step, &channel, sum);
                    element += output[3];
                }
            }
            weights += tiles.from.per_channel;
        }
    }
}
