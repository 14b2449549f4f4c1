/* A single output channel with any taps. */
#include "dot_block.h"

#if !SMG_THUMB_1

#include "lanes.h"

void smg_dot_run_one(const struct smg_dot *dot, const struct smg_dot_block *block, const struct smg_dot_row *row)
{
    uint32_t additions = dot->rows * ((dot->columns + 1) / 2);
    uint32_t gap = dot->row_words - dot->columns;
    const uint32_t *words = row->words;
    int8_t *output = row->outputs;
    for (uint32_t left = row->count; left != 0; --left) {
        const int8_t *weights = row->weights;
        const uint32_t *word = words;
        struct smg_lanes lanes = smg_lanes_open(block->biases[0], additions);
        for (uint32_t rows = dot->rows; rows != 0; --rows) {
            for (const uint32_t *end = word + (dot->columns & ~UINT32_C(1)); word != end; word += 2) {
                smg_lanes_add_two(&lanes, word[0], word[1], weights);
                weights += 2;
            }
            if (dot->columns % 2 != 0) {
                smg_lanes_add(&lanes, *word++, *weights++);
            }
            word += gap;
        }
        smg_requantizer_store(&block->outputs[0], smg_lanes_sum0(&lanes), smg_lanes_sum1(&lanes), output,
                              row->distance);
        words += dot->pair_words;
        output += dot->output_step;
    }
}

#endif
