/* FULLY_CONNECTED: weights [output channel][k], applied to each row of the input. */
#include "internal.h"

/* Sum of input * weight. Apart, so that all it needs is in registers. */
static __attribute__((noinline)) uint32_t product(const int8_t *input, const int8_t *weights, uint32_t count)
{
    uint32_t sum = 0;
    for (const int8_t *end = weights + count; weights != end; ++input, ++weights) {
        sum += (uint32_t)(*input * *weights);
    }
    return sum;
}

void smg_fully_connected(const struct smg_step *step)
{
    uint32_t outputs = step->output->dimensions[3];
    uint32_t rows = smg_divide(smg_elements(step->output), outputs);
    struct smg_channels channels;
    struct smg_tiles tiles;
    smg_channels_open(&channels, step);
    smg_tiles_open(&tiles, step);
    while (smg_tiles_next(&tiles)) {
        uint32_t inputs = tiles.from.per_channel;
        const int8_t *weights = tiles.weights;
        for (uint32_t c = tiles.first; c < tiles.end; ++c) {
            const int8_t *input = step->input_data;
            struct smg_channel channel;
            smg_channels_read(&channels, c, &channel);
            for (uint32_t row = 0; row < rows; ++row) {
                uint32_t sum = channel.bias + product(input, weights, inputs);
                step->output_data[row * outputs + c] = smg_channel_output(step, &channel, sum);
                input += inputs;
            }
            weights += inputs;
        }
    }
}
