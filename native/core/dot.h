/* Dot products of one or two output channels with the inputs of many output pixels, two pixels at a time.
 *
 * Two pixels make a pair. The inputs of a pair are words, one for each tap, that hold both pixels' values: value 0 +
 * value 1 * 2^16. Multiplied by a weight a word gives both products, and such products can be added up as long as the sum
 * for pixel 0 stays within 16 bits, that is while the magnitudes of the weights add up to 255 at most (255 * 128 < 2^15).
 * On Cortex-M0+ the weights are compiled (dot_thumb.c): the dot product becomes a straight run of instructions with the
 * weights as immediate operands. Zeros cost nothing, and where a sum must be unpacked is known beforehand, for any weights.
 * Elsewhere it is C (dot_block.c, lanes.h). Cortex-M4 has words of two halves in place of the sum (dsp.h).
 */
#ifndef SMG_DOT_H
#define SMG_DOT_H

#include "internal.h"

/* The word of a pair. */
static inline uint32_t smg_pair(int32_t value0, int32_t value1)
{
#if SMG_DSP
    return (uint16_t)value0 | (uint32_t)value1 << 16;
#else
    return (uint32_t)value0 + ((uint32_t)value1 << 16);
#endif
}

struct smg_dot {
    const struct smg_channels *channels;
    const int8_t *weights; /* of the first output channel; the second's follow */
    uint32_t channel;      /* the first output channel */
    uint32_t count;        /* of output channels: 1, or 2 neighbours */
    uint32_t rows;         /* the taps are in rows of `columns` words that follow each other */
    uint32_t columns;
    uint32_t row_words;   /* from one row of taps to the next */
    uint32_t pair_words;  /* from one pair's first word to the next pair's */
    uint32_t output_step; /* bytes from one pair's output to the next pair's */
    uint32_t row_pairs;   /* pairs of a row, if all rows have as many; else 1 */
    bool quads;           /* words are in the order of quads (gather.c) */
};

/* Where rows of pairs lie. */
struct smg_pairs {
    const uint32_t *words;
    uint32_t count;           /* of a row, at least 1 */
    uint32_t rows;            /* at least 1 */
    uint32_t row_words;       /* from one row to the next */
    int8_t *outputs;          /* of pixel 0 of the first pair, first channel */
    uint32_t distance;        /* bytes from pixel 0 to pixel 1 of a pair, in all rows but the last */
    uint32_t last_distance;   /* in the last row; 0: there is no pixel 1, and its half of the words is ignored */
    uint32_t output_row_step; /* bytes from one row to the next */
};

/* Compiles into `code` (a multiple of 4): bytes used, a multiple of 4, or 0 if there is no room or no compiler. */
uint32_t smg_dot_compile(const struct smg_dot *dot, void *code, uint32_t bytes);

#if SMG_THUMB_1
/* dot.c and dot_thumb.c: without compiled weights, and with them. */
void smg_dot_run_plain(const struct smg_dot *dot, const struct smg_pairs *pairs);
void smg_dot_run_code(const struct smg_dot *dot, const void *code, const struct smg_pairs *pairs);
#endif

/* Computes and stores the outputs. code: what smg_dot_compile made of `dot`, whose weights it does not need any more; or
 * null to do without. */
#if SMG_THUMB_1
static inline void smg_dot_run(const struct smg_dot *dot, const void *code, const struct smg_pairs *pairs)
{
    if (code == NULL) {
        smg_dot_run_plain(dot, pairs);
    } else {
        smg_dot_run_code(dot, code, pairs);
    }
}
#else
void smg_dot_run(const struct smg_dot *dot, const void *code, const struct smg_pairs *pairs);
#endif

/* Where the code after this one can lie: the bytes that smg_dot_compile returned for it. */
static inline uint32_t smg_dot_code_bytes(const void *code)
{
    return *(const uint32_t *)code;
}

#endif
