/* Two output channels with SMLAD, on Cortex-M4 and M33. The words are quads (gather.c), and weights come out in the same
 * order when four bytes are widened to halves. */
#include "dot_block.h"

#if SMG_DSP

#include "dsp.h"

/* Of a single channel both halves of the work are the same, and one is dropped. */
void smg_dot_run_quads(const struct smg_dot *dot, const struct smg_dot_block *block, const struct smg_dot_row *row)
{
    uint32_t last = block->channels - 1;
    uint32_t gap = dot->row_words - dot->columns;
    const uint32_t *words = row->words;
    int8_t *output = row->outputs;
    for (uint32_t left = row->count; left != 0; --left) {
        const int8_t *weights0 = row->weights;
        const int8_t *weights1 = weights0 + last * dot->rows * dot->columns;
        const uint32_t *word = words;
        uint32_t sum00 = block->biases[0]; /* channel 0, pixel 0 */
        uint32_t sum01 = sum00;
        uint32_t sum10 = block->biases[last];
        uint32_t sum11 = sum10;
        for (uint32_t rows = dot->rows; rows != 0; --rows) {
            const int8_t *end = weights0 + dot->columns;
            do {
                uint32_t bytes0 = smg_load_4(weights0);
                uint32_t bytes1 = smg_load_4(weights1);
                uint32_t even0 = smg_even_bytes(bytes0);
                uint32_t even1 = smg_even_bytes(bytes1);
                uint32_t pixel0 = word[0];
                uint32_t pixel1 = word[1];
                sum00 = smg_add_products(sum00, pixel0, even0);
                sum10 = smg_add_products(sum10, pixel0, even1);
                sum01 = smg_add_products(sum01, pixel1, even0);
                sum11 = smg_add_products(sum11, pixel1, even1);
                uint32_t odd0 = smg_odd_bytes(bytes0);
                uint32_t odd1 = smg_odd_bytes(bytes1);
                pixel0 = word[2];
                pixel1 = word[3];
                sum00 = smg_add_products(sum00, pixel0, odd0);
                sum10 = smg_add_products(sum10, pixel0, odd1);
                sum01 = smg_add_products(sum01, pixel1, odd0);
                sum11 = smg_add_products(sum11, pixel1, odd1);
                word += 4;
                weights0 += 4;
                weights1 += 4;
            } while (weights0 != end);
            word += gap;
        }
        smg_requantizer_store(&block->outputs[0], sum00, sum01, output, row->distance);
        if (last != 0) {
            smg_requantizer_store(&block->outputs[1], sum10, sum11, output + 1, row->distance);
        }
        words += dot->pair_words;
        output += dot->output_step;
    }
}

#endif
