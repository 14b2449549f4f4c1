/* Compiled weights where nothing is compiled to instructions: every architecture but ARMv6-M. */
#ifndef SMG_DOT_BLOCK_H
#define SMG_DOT_BLOCK_H

#include "dot.h"
#include "requantizer.h"

/* What smg_dot_compile makes: this, and behind it a copy of the weights, so that they need not be decoded for every
 * block. There is nothing to compile, and without room the weights are used where dot->weights are. */
struct smg_dot_block {
    uint32_t bytes;
    uint32_t channels;  /* 1 or 2 */
    uint32_t biases[2]; /* less what the input's zero point adds */
    struct smg_requantizer outputs[2];
};

/* A row of pairs to be computed. */
struct smg_dot_row {
    const int8_t *weights; /* of both channels */
    const uint32_t *words;
    uint32_t count; /* of pairs, at least 1 */
    int8_t *outputs;
    uint32_t distance; /* as in struct smg_pairs */
};

/* The ways to run a block. */
typedef void smg_dot_way(const struct smg_dot *dot, const struct smg_dot_block *block, const struct smg_dot_row *row);

smg_dot_way smg_dot_run_one;   /* dot_one.c: a channel */
smg_dot_way smg_dot_run_3x3;   /* dot_3x3.c: a channel with 3x3 taps in rows of three words */
smg_dot_way smg_dot_run_two;   /* dot_two.c: two channels */
smg_dot_way smg_dot_run_quads; /* dot_quads.c: one or two channels, with quads (gather.c) */

#endif
