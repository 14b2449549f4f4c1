/* FULLY_CONNECTED: weights [output channel][k], applied to each row of the input. */
#include "internal.h"

void smg_fully_connected(const struct smg_step *step)
{
    int32_t input_zero_point = step->input->zero_point;
    uint32_t outputs = step->output->dimensions[3];
    uint32_t rows = smg_elements(step->output) / outputs;
    struct smg_channels channels;
    struct smg_tiles tiles;
    smg_channels_open(&channels, step);
    smg_tiles_open(&tiles, step);
    while (smg_tiles_next(&tiles)) {
        uint32_t inputs = tiles.weights_per_channel;
        const int8_t *weights = tiles.weights;
        for (uint32_t c = tiles.first; c < tiles.end; ++c) {
            const int8_t *input = step->input_data;
            for (uint32_t row = 0; row < rows; ++row) {
                uint32_t sum = smg_channel_bias(&channels, c);
                for (uint32_t k = 0; k < inputs; ++k) {
                    sum += (uint32_t)((input[k] - input_zero_point) * weights[k]);
                }
                step->output_data[row * outputs + c] = smg_channel_output(&channels, c, sum);
                input += inputs;
            }
            weights += inputs;
        }
    }
}
