/* A band of input rows as words of pixel pairs: what kernel 1 of CONV_2D and DEPTHWISE_CONV_2D computes from.
 *
 * A pair is an output pixel and one below it in the same column. A row of the band holds, for every column and channel,
 * the inputs of both pixels side by side (smg_pair), with the padding on the left and on the right. So the taps of a pair
 * lie as the taps of a single pixel lie in the input.
 *
 * Output rows are computed in blocks of `tile` pairs. Where one block does it all, the upper half of the picture is paired
 * with the lower half, so that neighbouring pairs share most of their rows; else each row is paired with the next one. A
 * pointwise convolution shares no rows: each of its blocks pairs its own halves, so that what it reads lies without
 * gaps. All rows of a block are in the band before any of its outputs is stored, and rows that the next block needs
 * again are kept, so that outputs may lie where inputs were that are in the band already.
 */
#ifndef SMG_BAND_H
#define SMG_BAND_H

#include "dot.h"

/* Rows of values to be gathered. The assembly of band_thumb.c knows where the fields are. */
struct smg_gather {
    const int8_t *start; /* 0: row 0 of the input, from the first value on */
    uint32_t row_bytes;  /* 4: of the input */
    uint32_t apart;      /* 8: input rows from pixel 0's to pixel 1's */
    uint32_t height;     /* 12: of the input */
    uint32_t span;       /* 16: bytes of the values of a row, with what lies between them; a multiple of `step`, not 0 */
    uint32_t step;       /* 20: bytes from one value to the next */
    uint32_t row_gap;    /* 24: bytes from the end of a row's span to the next row of the input */
    uint32_t words_gap;  /* 28: bytes from the end of a row's words to those of the next one */
    uint32_t values;     /* 32: of a row */
    uint32_t row_step;   /* 36: input rows from one row of words to the next */
    int32_t padding;     /* 40: the value of what is outside the input */
    bool quads;          /* words in the order of quads (gather.c), for dot_quads.c */
};

/* Words of the values of two rows, side by side: of input rows `y` and y + apart, modulo 2^32, and of those that follow.
 * Returns how many rows of words: at most `rows`, which is at least 1, and as many as lie inside the input; one if the
 * first does not, or if row_step is not 1. */
uint32_t smg_gather(uint32_t *words, const struct smg_gather *shape, uint32_t y, uint32_t rows);

struct smg_band {
    const struct smg_step *step;
    uint32_t channels;     /* all of the input's, or 1 */
    uint32_t output_h;     /* of the output seen as a picture: a pointwise convolution sees a single column */
    uint32_t output_w;
    uint32_t row_words;
    uint32_t left;         /* words of a row that are padding on the left */
    uint32_t tile;         /* pairs of output rows in a block */
    uint32_t *words;       /* row 0 */
    uint32_t apart;        /* output rows from pixel 0 of a pair to pixel 1, in this block */
    uint32_t pair_rows;    /* output rows from one pair to the next */
    uint32_t period;       /* rows of words from one pair to the next; rows that no tap reads are left out */
    uint32_t left_out;     /* input rows after each period */
    uint32_t taps_h;       /* rows from a pair's first tap to its last one */
    uint32_t ready;        /* rows that are in the band */
    uint32_t next_y;       /* the row after those, modulo 2^32: the first ones are padding */
    uint32_t phase;        /* rows of the period that are still to come, at least 1; 0 if no rows are left out */
    struct smg_gather gather;
    bool pointwise;
    struct smg_pairs run;  /* the pairs of the block, but for where their outputs lie */
    int8_t *outputs;       /* of the block, channel 0 */
};

/* The shapes, with so many channels of the input; nothing is gathered yet. */
void smg_band_open(struct smg_band *band, const struct smg_step *step, uint32_t channels);

/* Bytes that the words of a block take, four for each word; saturates (saturating.c) before the operator is checked. */
uint32_t smg_band_bytes(const struct smg_band *band);

/* Takes smg_band_bytes of memory. */
void smg_band_place(struct smg_band *band, void *memory);

/* Back to the first block, from this channel of the input on. */
void smg_band_rewind(struct smg_band *band, uint32_t channel);

/* Makes the band ready for `pairs` pairs of output rows. */
void smg_band_fill(struct smg_band *band, uint32_t pairs);

/* Those rows are done: forgets what no later block needs. */
void smg_band_advance(struct smg_band *band, uint32_t pairs);

/* Where the taps of a pair are, and the next pair. */
void smg_band_shape(const struct smg_band *band, struct smg_dot *dot);

/* The next runs are for `pairs` pairs of output rows, at least 1, the first of which is row `r`. */
void smg_band_block(struct smg_band *band, uint32_t r, uint32_t pairs);

/* Runs a dot product for the pairs of the block. */
void smg_band_run(struct smg_band *band, const struct smg_dot *dot, const void *code);

#endif
