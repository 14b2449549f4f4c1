/* DEPTHWISE_CONV_2D: weights [output channel][kernel_h][kernel_w]. */
#include "internal.h"

/* One output element's sum without the bias. Taps outside read the zero point. input: the first element of the channel
 * that is read. top, left: input position of tap 0, modulo 2^32. */
static uint32_t convolve(const struct smg_step *step, const int8_t *weights, const int8_t *input, uint32_t top,
                         uint32_t left)
{
    const struct smg_window *window = &step->record->parameters.window;
    uint32_t width = step->input->dimensions[2];
    uint32_t channels = step->input->dimensions[3];
    uint32_t sum = 0;
    for (uint32_t i = 0; i < window->kernel_h; ++i) {
        uint32_t y = top + i * window->dilation_h;
        for (uint32_t j = 0; j < window->kernel_w; ++j) {
            uint32_t x = left + j * window->dilation_w;
            bool inside = smg_is_inside(step->input, y, x);
            int32_t value = inside ? input[(y * width + x) * channels] : step->input->zero_point;
            sum += (uint32_t)(value * *weights++);
        }
    }
    return sum;
}

void smg_depthwise_conv_2d(const struct smg_step *step)
{
    const struct smg_window *window = &step->record->parameters.window;
    const uint16_t *output = step->output->dimensions;
    uint32_t outputs_per_input = smg_divide(output[3], step->input->dimensions[3]);
    struct smg_channels channels;
    struct smg_tiles tiles;
    smg_channels_open(&channels, step);
    smg_tiles_open(&tiles, step);
    while (smg_tiles_next(&tiles)) {
        const int8_t *weights = tiles.weights;
        for (uint32_t c = tiles.first; c < tiles.end; ++c) {
            const int8_t *input = step->input_data + smg_divide(c, outputs_per_input);
            int8_t *element = step->output_data + c;
            struct smg_channel channel;
            smg_channels_read(&channels, c, &channel);
            uint32_t top = 0u - window->pad_top;
            for (uint32_t r = 0; r < output[1]; ++r) {
                uint32_t left = 0u - window->pad_left;
                for (uint32_t s = 0; s < output[2]; ++s) {
                    uint32_t sum = channel.bias + convolve(step, weights, input, top, left);
                    *element = smg_channel_output(step, &channel, sum);
                    element += output[3];
                    left += window->stride_w;
                }
                top += window->stride_h;
            }
            weights += tiles.from.per_channel;
        }
    }
}
