/* Requantisation of many sums of one output channel, where a 64-bit product takes an instruction or two. */
#ifndef SMG_REQUANTIZER_H
#define SMG_REQUANTIZER_H

#include "internal.h"

/* With p = sum * multiplier and n = -shift, n in 2 .. 23, both roundings of section 3 of the format are one:
 *
 *     floor((p + 2^30 + 2^(30 + n) - (2^31 if sum < 0)) / 2^(31 + n)) + zero point
 *
 * For the second rounding takes halves away from zero: floor((v - (1 if v < 0)) / 2^n + 1/2), where v is p / 2^31
 * rounded. Where the sum is negative and v is not, v is 0, and the result is 0 with and without the 1. The result is in
 * the high half of a 64-bit sum, together with the zero point. Of what is added to p, 2^30 and half of the 2^31 that
 * negative sums lose are in the low half, with no carry between them; the rest is `added`, with 2^30 to spare. */
struct smg_requantizer {
    int32_t multiplier;
    uint32_t added; /* to the high half */
    uint32_t shift; /* of the high half, n - 1; 0: another n, or outputs are clamped to less than all of int8 */
    int32_t channel_shift;
    int32_t zero_point;
    int32_t lowest;
    int32_t highest;
};

void smg_requantizer_open(struct smg_requantizer *requantizer, const struct smg_step *step,
                          const struct smg_channel *channel);

/* The outputs of a pair of pixels. distance: bytes from pixel 0's output to pixel 1's; 0: only pixel 0's is stored. */
void smg_requantizer_store(const struct smg_requantizer *requantizer, uint32_t sum0, uint32_t sum1, int8_t *output,
                           uint32_t distance);

#endif
