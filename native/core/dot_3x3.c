/* A channel with 3x3 taps: most depthwise convolutions. */
#include "dot_block.h"

#if !SMG_THUMB_1

#include "lanes.h"

#if SMG_DSP

/* Two weights to a word, so that all are in registers. */
static inline uint32_t two_weights(const int8_t *weights)
{
    return (uint16_t)weights[0] | (uint32_t)weights[1] << 16;
}

void smg_dot_run_3x3(const struct smg_dot *dot, const struct smg_dot_block *block, const struct smg_dot_row *row)
{
    uint32_t weights01 = two_weights(row->weights);
    uint32_t weights23 = two_weights(row->weights + 2);
    uint32_t weights45 = two_weights(row->weights + 4);
    uint32_t weights67 = two_weights(row->weights + 6);
    uint32_t weight8 = (uint32_t)row->weights[8];
    const uint32_t *words = row->words;
    int8_t *output = row->outputs;
    for (uint32_t left = row->count; left != 0; --left) {
        struct smg_lanes lanes = smg_lanes_open(block->biases[0], 0);
        const uint32_t *taps = words;
        smg_lanes_add_low(&lanes, taps[0], weights01);
        smg_lanes_add_high(&lanes, taps[1], weights01);
        smg_lanes_add_low(&lanes, taps[2], weights23);
        taps += dot->row_words;
        smg_lanes_add_high(&lanes, taps[0], weights23);
        smg_lanes_add_low(&lanes, taps[1], weights45);
        smg_lanes_add_high(&lanes, taps[2], weights45);
        taps += dot->row_words;
        smg_lanes_add_low(&lanes, taps[0], weights67);
        smg_lanes_add_high(&lanes, taps[1], weights67);
        smg_lanes_add_low(&lanes, taps[2], weight8);
        smg_requantizer_store(&block->outputs[0], lanes.sum0, lanes.sum1, output, row->distance);
        words += dot->pair_words;
        output += dot->output_step;
    }
}

#else

void smg_dot_run_3x3(const struct smg_dot *dot, const struct smg_dot_block *block, const struct smg_dot_row *row)
{
    const int8_t *weights = row->weights;
    const uint32_t *words = row->words;
    int8_t *output = row->outputs;
    for (uint32_t left = row->count; left != 0; --left) {
        struct smg_lanes lanes = smg_lanes_open(block->biases[0], 5);
        const uint32_t *row0 = words;
        const uint32_t *row1 = row0 + dot->row_words;
        const uint32_t *row2 = row1 + dot->row_words;
        smg_lanes_add_two(&lanes, row0[0], row0[1], weights);
        smg_lanes_add_two(&lanes, row0[2], row1[0], weights + 2);
        smg_lanes_add_two(&lanes, row1[1], row1[2], weights + 4);
        smg_lanes_add_two(&lanes, row2[0], row2[1], weights + 6);
        smg_lanes_add(&lanes, row2[2], weights[8]);
        smg_requantizer_store(&block->outputs[0], smg_lanes_sum0(&lanes), smg_lanes_sum1(&lanes), output,
                              row->distance);
        words += dot->pair_words;
        output += dot->output_step;
    }
}

#endif

#endif
