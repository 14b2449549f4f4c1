/* FULLY_CONNECTED: dot products of rows of the input with the weights of every output channel. */
#include "internal.h"

/* Some neighbouring output channels that are computed together. */
struct group {
    struct smg_channel channels[SMG_DENSE_CHANNELS];
    uint32_t sums[SMG_DENSE_CHANNELS];
    uint32_t count;
};

/* The group of up to SMG_DENSE_CHANNELS channels that begins with `first`. */
static void open_group(struct group *group, const struct smg_channels *channels, uint32_t first, uint32_t end)
{
    group->count = end - first < SMG_DENSE_CHANNELS ? end - first : SMG_DENSE_CHANNELS;
    for (uint32_t i = 0; i < group->count; ++i) {
        smg_channels_read(channels, first + i, &group->channels[i]);
    }
}

static void start_sums(struct group *group)
{
    for (uint32_t i = 0; i < group->count; ++i) {
        group->sums[i] = group->channels[i].bias;
    }
}

static void store_outputs(const struct group *group, const struct smg_step *step, int8_t *outputs)
{
    for (uint32_t i = 0; i < group->count; ++i) {
        outputs[i] = smg_channel_output(step, &group->channels[i], group->sums[i]);
    }
}

/* Weights [output channel][k], applied to each row of the input. */
void smg_fully_connected(const struct smg_step *step)
{
    uint32_t outputs = step->output->dimensions[3];
    uint32_t rows = smg_divide(smg_elements(step->output), outputs);
    struct group group;
    struct smg_channels channels;
    struct smg_tiles tiles;
    smg_channels_open(&channels, step);
    smg_tiles_open(&tiles, step);
    while (smg_tiles_next(&tiles)) {
        uint32_t inputs = tiles.from.per_channel;
        const int8_t *weights = tiles.weights;
        for (uint32_t c = tiles.first; c < tiles.end; c += group.count) {
            open_group(&group, &channels, c, tiles.end);
            for (uint32_t row = 0; row < rows; ++row) {
                start_sums(&group);
                smg_dense_raw(step->input_data + row * inputs, inputs, weights, group.count, group.sums);
                store_outputs(&group, step, step->output_data + row * outputs + c);
            }
            weights += group.count * inputs;
        }
    }
}

/* One row; weights [group of output channels][k][output channel], multiplied as they are decoded. */
void smg_fully_connected_streamed(const struct smg_step *step)
{
    uint32_t outputs = step->output->dimensions[3];
    struct group group;
    struct smg_channels channels;
    struct smg_weights weights;
    smg_channels_open(&channels, step);
    smg_weights_open(&weights, step);
    for (uint32_t c = 0; c < outputs; c += group.count) {
        open_group(&group, &channels, c, outputs);
        start_sums(&group);
        smg_dense_streamed(step->input_data, weights.per_channel, &weights.decoder, group.count, group.sums);
        store_outputs(&group, step, step->output_data + c);
    }
}
