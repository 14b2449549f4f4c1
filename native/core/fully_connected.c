/* FULLY_CONNECTED: dot products of rows of the input with the weights of every output channel. */
#include "internal.h"

static uint32_t group_size(uint32_t channels)
{
    return channels < SMG_DENSE_CHANNELS ? channels : SMG_DENSE_CHANNELS;
}

/* The outputs of `count` channels, from channel `first` on, for their sums without the bias. */
static void store_outputs(const struct smg_channels *channels, uint32_t first, uint32_t count, const uint32_t *sums,
                          int8_t *outputs)
{
    for (const uint32_t *end = sums + count; sums != end; ++sums) {
        struct smg_channel channel;
        smg_channels_read(channels, first++, &channel);
        *outputs++ = smg_channel_output(channels->step, &channel, channel.bias + *sums);
    }
}

/* Weights [output channel][k], applied to each row of the input. */
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
        for (uint32_t c = tiles.first, count; c < tiles.end; c += count) {
            count = group_size(tiles.end - c);
            for (uint32_t row = 0; row < rows; ++row) {
                uint32_t sums[SMG_DENSE_CHANNELS];
                smg_dense_raw(step->input_data + row * inputs, weights, inputs, sums, count);
                store_outputs(&channels, c, count, sums, step->output_data + row * outputs + c);
            }
            weights += count * inputs;
        }
    }
}

/* One row; weights [group of output channels][k][output channel], or with zero runs [output channel][k], multiplied as
 * they are decoded. */
void smg_fully_connected_streamed(const struct smg_step *step)
{
    uint32_t zero_runs = step->record->zero_runs;
    uint32_t inputs = smg_elements(step->input);
    uint32_t outputs = step->output->dimensions[3];
    struct smg_channels channels;
    struct smg_decoder decoder;
    smg_channels_open(&channels, step);
    smg_decoder_open(&decoder, step->scratch, (const void *)(step->blob + step->record->code_table_offset));
    smg_decoder_start(&decoder, step->blob + step->record->weights_offset);
    for (uint32_t c = 0, count; c < outputs; c += count) {
        uint32_t sums[SMG_DENSE_CHANNELS];
        if (zero_runs != 0) {
            count = 1;
            sums[0] = smg_dense_runs(&decoder, step->input_data, inputs, zero_runs);
        } else {
            count = group_size(outputs - c);
            smg_dense_streamed(&decoder, step->input_data, inputs, sums, count);
        }
        store_outputs(&channels, c, count, sums, step->output_data + c);
    }
}
