/* Dot products in C: see dot_block.h. */
#include "dot_block.h"

#if !SMG_THUMB_1

static void open_block(struct smg_dot_block *block, const struct smg_dot *dot)
{
    block->channels = dot->count;
    for (uint32_t c = 0; c < dot->count; ++c) {
        struct smg_channel channel;
        smg_channels_read(dot->channels, dot->channel + c, &channel);
        smg_requantizer_open(&block->outputs[c], dot->channels->step, &channel);
        block->biases[c] = channel.bias;
    }
}

uint32_t smg_dot_compile(const struct smg_dot *dot, void *code, uint32_t bytes)
{
    struct smg_dot_block *block = code;
    uint32_t count = dot->count * dot->rows * dot->columns;
    uint32_t needed = smg_align4((uint32_t)sizeof(*block) + count);
    if (bytes < needed) {
        return 0;
    }
    open_block(block, dot);
    block->bytes = needed;
    int8_t *weights = (int8_t *)(block + 1);
    for (uint32_t i = 0; i < count; ++i) {
        weights[i] = dot->weights[i];
    }
    return needed;
}

static smg_dot_way *find_way(const struct smg_dot *dot, const struct smg_dot_block *block)
{
#if SMG_DSP
    if (dot->quads) {
        return smg_dot_run_quads;
    }
#endif
    if (block->channels == 2) {
        return smg_dot_run_two;
    }
    return dot->rows == 3 && dot->columns == 3 ? smg_dot_run_3x3 : smg_dot_run_one;
}

void smg_dot_run(const struct smg_dot *dot, const void *code, const struct smg_pairs *pairs)
{
    const struct smg_dot_block *block = code;
    struct smg_dot_block opened;
    struct smg_dot_row row;
    if (block == NULL) {
        open_block(&opened, dot);
        block = &opened;
        row.weights = dot->weights;
    } else {
        row.weights = (const int8_t *)(block + 1);
    }
    row.words = pairs->words;
    row.count = pairs->count;
    row.outputs = pairs->outputs;
    smg_dot_way *way = find_way(dot, block);
    for (uint32_t left = pairs->rows; left != 0; --left) {
        row.distance = left == 1 ? pairs->last_distance : pairs->distance;
        way(dot, block, &row);
        row.words += pairs->row_words;
        row.outputs += pairs->output_row_step;
    }
}

#endif
