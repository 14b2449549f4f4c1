/* CONV_2D and DEPTHWISE_CONV_2D, kernel 0: weights [output channel][kernel_h][kernel_w][input channel it reads]. */
#include "internal.h"

/* One output channel. input: the first of the `depth` channels that it reads. */
struct filter {
    const int8_t *input;
    uint32_t depth;
    const int8_t *weights;
};

/* One output element's sum without the bias. Taps outside read the zero point. top, left: input position of tap 0,
 * modulo 2^32. */
static uint32_t convolve(const struct smg_step *step, const struct filter *filter, uint32_t top, uint32_t left)
{
    const struct smg_window *window = &step->record->parameters.window;
    const uint16_t *input = step->input->dimensions;
    const int8_t *weights = filter->weights;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < window->kernel_h; ++i) {
        uint32_t y = top + i * window->dilation_h;
        for (uint32_t j = 0; j < window->kernel_w; ++j) {
            uint32_t x = left + j * window->dilation_w;
            bool inside = smg_is_inside(step->input, y, x);
            const int8_t *pixel = inside ? filter->input + (y * input[2] + x) * input[3] : &step->input->zero_point;
            for (uint32_t k = 0; k < filter->depth; ++k) {
                sum += (uint32_t)(*pixel * *weights++);
                pixel += inside;
            }
        }
    }
    return sum;
}

void smg_conv_2d(const struct smg_step *step)
{
    const struct smg_window *window = &step->record->parameters.window;
    const uint16_t *output = step->output->dimensions;
    struct filter filter = {step->input_data, step->input->dimensions[3], NULL};
    uint32_t outputs_per_input = output[3]; /* output channels that read the same input channels */
    if (step->record->kind == SMG_DEPTHWISE_CONV_2D) {
        outputs_per_input = smg_divide(outputs_per_input, filter.depth);
        filter.depth = 1;
    }
    struct smg_channels channels;
    struct smg_tiles tiles;
    smg_channels_open(&channels, step);
    smg_tiles_open(&tiles, step);
    while (smg_tiles_next(&tiles)) {
        filter.weights = tiles.weights;
        for (uint32_t c = tiles.first; c < tiles.end; ++c) {
            struct smg_channel channel;
            smg_channels_read(&channels, c, &channel);
            filter.input = step->input_data + smg_divide(c, outputs_per_input);
            int8_t *element = step->output_data + c;
            uint32_t top = 0u - window->pad_top;
            for (uint32_t r = 0; r < output[1]; ++r) {
                uint32_t left = 0u - window->pad_left;
                for (uint32_t s = 0; s < output[2]; ++s) {
                    uint32_t sum = channel.bias + convolve(step, &filter, top, left);
                    *element = smg_channel_output(step, &channel, sum);
                    element += output[3];
                    left += window->stride_w;
                }
                top += window->stride_h;
            }
            filter.weights += tiles.from.per_channel;
        }
    }
}
