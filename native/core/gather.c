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

static void gather_quads_row(uint32_t *words, const int8_t *row0, const int8_t *row1, const struct smg_gather *shape)
{
    int8_t padding = (int8_t)shape->padding;
    const int8_t four[4] = {padding, padding, padding, padding};
    gather_quads(words, row0 == NULL ? four : row0, row1 == NULL ? four : row1, shape->values, row0 == NULL ? 0 : 4,
                 row1 == NULL ? 0 : 4);
}

#endif

/* A row of words from rows of the input, or null for padding. */
static void gather_edge(uint32_t *words, const int8_t *row0, const int8_t *row1, const struct smg_gather *shape)
{
#if SMG_DSP
    if (shape->quads) {
        gather_quads_row(words, row0, row1, shape);
        return;
    }
#endif
    for (uint32_t offset = 0; offset != shape->span; offset += shape->step) {
        int32_t value0 = row0 == NULL ? shape->padding : row0[offset];
        int32_t value1 = row1 == NULL ? shape->padding : row1[offset];
        *words++ = smg_pair(value0, value1);
    }
}

static void gather_rows(uint32_t *words, const int8_t *row0, const int8_t *row1, const struct smg_gather *shape,
                        uint32_t rows)
{
    uint32_t span = shape->span; /* the compiler cannot know that no word is stored there */
    uint32_t step = shape->step;
    for (; rows != 0; --rows) {
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

uint32_t smg_gather(uint32_t *words, const struct smg_gather *shape, uint32_t y, uint32_t rows)
{
    uint32_t y1 = y + shape->apart;
    uint32_t height = shape->height;
    const int8_t *row0 = y < height ? shape->start + y * shape->row_bytes : NULL;
    const int8_t *row1 = y1 < height ? shape->start + y1 * shape->row_bytes : NULL;
    if (row0 == NULL || row1 == NULL) {
        gather_edge(words, row0, row1, shape);
        return 1;
    }
    if (rows > height - y1) {
        rows = height - y1;
    }
    if (shape->row_step != 1) {
        rows = 1;
    }
    gather_rows(words, row0, row1, shape, rows);
    return rows;
}

#endif
