/* Compiled dot products of ARMv6-M: what the compiler (dot_compile_thumb.c) leaves for what runs the code (dot_thumb.c).
 *
 * Compiled code of one or two output channels computes the sums of one pair of pixels:
 *
 *     for every four words: ldmia r6!, {r2-r5}; for each of them and each weight that is not zero:
 *         movs r7, #magnitude; muls r7, word; adds/subs accumulator, r7
 *     where the sum for pixel 0 might leave 16 bits, the accumulator (r0, r1) is unpacked into r8-r11
 *     bx lr
 *
 * Sparse code of two channels loads the words that it needs one by one, with ldr r2, [r6, #distance].
 *
 * r6: the pair's first word. r8, r9: the sums of the first channel for pixels 0 and 1, r10, r11: of the second; the caller
 * presets them with the bias. Only instructions with an 8-bit operand are ever written, whatever the weights are.
 *
 * A single channel computes two neighbouring pairs at once where four words hold a row of taps of both and each row has an
 * even number of pairs ("twins"): r10, r11 are the sums of the second pair.
 */
#ifndef SMG_DOT_THUMB_H
#define SMG_DOT_THUMB_H

#include "dot.h"

/* How the sums of a channel become outputs, for `run`. The multiplier is high * 2^19 + low * 2^6, n = -shift within 1 .. 10:
 * products of a sum from -2^19 up to 2^19 - 1 with high and low fit 32 bits (POSITIVE: without sign; low is below 2^13. SIGNED:
 * low is above -2^12 and below 2^12), and larger sums saturate (from 2^(9 + n) on, because the multiplier is at least 2^30). */
struct factors {
    uint32_t high;
    int32_t low;
    uint32_t half; /* POSITIVE: both roundings and the zero point; SIGNED: the second rounding and the zero point */
};

struct requantization {
    uint32_t bias;
    union {
        struct factors factors;
        struct smg_channel channel; /* CALL */
    } numbers;
    uint32_t shift; /* the last shift to the right; the form in bits 8 and 9 */
    int32_t highest;
};

enum form { POSITIVE = 0, SIGNED = 1, CALL = 2 };

/* A block of code starts with this; what is compiled follows. */
struct block {
    uint32_t bytes;
    uint16_t count; /* of channels */
    uint16_t pairs; /* at once: 2 for twins, else 1 */
    struct requantization channels[];
};

#endif
