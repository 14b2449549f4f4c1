/* Gathering words of pixel pairs, in C: every architecture but ARMv6-M (band_thumb.c).
 *
 * With SMG_DSP, where the channels are a multiple of four, every four words are a quad: values 0 and 2 of pixel 0,
 * values 0 and 2 of pixel 1, values 1 and 3 of pixel 0, values 1 and 3 of pixel 1. That is how four bytes are widened to
 * halves of words, and each word serves SMLAD.
 */
#include "band.h"

#if !SMG_THUMB_1

#if SMG_DSP

#include "dsp.h"

/* step0, step1: 4; or 0 for the same four bytes over and over. */
static __attribute__((noinline)) void gather_quads(uint32_t *words, const int8_t *row0, const int8_t *row1,
                                                   uint32_t count, uint32_t step0, uint32_t step1)
{
    for (const uint32_t *end = words + count; words != end; words += 4) {
        uint32_t bytes0 = smg_load_4(row0);
        uint32_t bytes1 = smg_load_4(row1);
        words[0] = smg_even_bytes(bytes0);
        words[1] = smg_even_bytes(bytes1);
        words[2] = smg_odd_bytes(bytes0);
        words[3] = smg_odd_bytes(bytes1);
        row0 += step0;
        row1 += step1;
    }
}

static void gather_quads_edge(uint32_t *words, const int8_t *row0, const int8_t *row1, const struct smg_edge *edge)
{
    int8_t padding = edge->step0 == 0 ? *row0 : *row1;
    const int8_t four[4] = {padding, padding, padding, padding};
    gather_quads(words, edge->step0 == 0 ? four : row0, edge->step1 == 0 ? four : row1, edge->count, 4 * edge->step0,
                 4 * edge->step1);
}

#endif

void smg_gather(uint32_t *words, const int8_t *row0, const int8_t *row1, const struct smg_gather *shape)
{
    uint32_t span = shape->span; /* the compiler cannot know that no word is stored there */
    uint32_t step = shape->step;
    for (uint32_t left = shape->rows; left != 0; --left) {
#if SMG_DSP
        if (shape->quads) {
            gather_quads(words, row0, row1, span, 4, 4);
            words += span;
        } else
#endif
        {
            for (uint32_t offset = 0; offset != span; offset += step) {
                *words++ = smg_pair(row0[offset], row1[offset]);
            }
        }
        row0 += span + shape->row_gap;
        row1 += span + shape->row_gap;
        words += shape->words_gap / 4;
    }
}

void smg_gather_edge(uint32_t *words, const int8_t *row0, const int8_t *row1, const struct smg_edge *edge)
{
#if SMG_DSP
    if (edge->quads) {
        gather_quads_edge(words, row0, row1, edge);
        return;
    }
#endif
    uint32_t step0 = edge->step0;
    uint32_t step1 = edge->step1;
    for (uint32_t left = edge->count; left != 0; --left) {
        *words++ = smg_pair(*row0, *row1);
        row0 += step0;
        row1 += step1;
    }
}

#endif
