/* Two output channels at a time, so that a word is loaded once for both. */
#include "dot_block.h"

#if !SMG_THUMB_1

#include "lanes.h"

void smg_dot_run_two(const struct smg_dot *dot, const struct smg_dot_block *block, const struct smg_dot_row *row)
{
    uint32_t additions = dot->rows * ((dot->columns + 1) / 2);
    uint32_t gap = dot->row_words - dot->columns;
    const uint32_t *words = row->words;
    int8_t *output = row->outputs;
    for (uint32_t left = row->count; left != 0; --left) {
        const int8_t *weights0 = row->weights;
        const int8_t *weights1 = weights0 + dot->rows * dot->columns;
        const uint32_t *word = words;
        struct smg_lanes lanes0 = smg_lanes_open(block->biases[0], additions);
        struct smg_lanes lanes1 = smg_lanes_open(block->biases[1], additions);
        for (uint32_t rows = dot->rows; rows != 0; --rows) {
            for (const uint32_t *end = word + (dot->columns & ~UINT32_C(1)); word != end; word += 2) {
                smg_lanes_add_two(&lanes0, word[0], word[1], weights0);
                smg_lanes_add_two(&lanes1, word[0], word[1], weights1);
                weights0 += 2;
                weights1 += 2;
            }
            if (dot->columns % 2 != 0) {
                smg_lanes_add(&lanes0, *word, *weights0++);
                smg_lanes_add(&lanes1, *word++, *weights1++);
            }
            word += gap;
        }
        smg_requantizer_store(&block->outputs[0], smg_lanes_sum0(&lanes0), smg_lanes_sum1(&lanes0), output,
                              row->distance);
        smg_requantizer_store(&block->outputs[1], smg_lanes_sum0(&lanes1), smg_lanes_sum1(&lanes1), output + 1,
                              row->distance);
        words += dot->pair_words;
        output += dot->output_step;
    }
}

#endif
