/* Sums of the products of one channel's weights with words that hold a value of each of two pixels (smg_pair). */
#ifndef SMG_LANES_H
#define SMG_LANES_H

#include "dsp.h"

#if SMG_DSP

struct smg_lanes {
    uint32_t sum0;
    uint32_t sum1;
};

/* additions: how many times smg_lanes_add and smg_lanes_add_two will be called. */
static inline struct smg_lanes smg_lanes_open(uint32_t bias, uint32_t additions)
{
    (void)additions;
    return (struct smg_lanes){bias, bias};
}

/* Of the low or the high half of `weights`. */
static inline void smg_lanes_add_low(struct smg_lanes *lanes, uint32_t word, uint32_t weights)
{
    lanes->sum0 = smg_add_product_bb(lanes->sum0, word, weights);
    lanes->sum1 = smg_add_product_tb(lanes->sum1, word, weights);
}

static inline void smg_lanes_add_high(struct smg_lanes *lanes, uint32_t word, uint32_t weights)
{
    lanes->sum0 = smg_add_product_bt(lanes->sum0, word, weights);
    lanes->sum1 = smg_add_product_tt(lanes->sum1, word, weights);
}

static inline void smg_lanes_add(struct smg_lanes *lanes, uint32_t word, int8_t weight)
{
    smg_lanes_add_low(lanes, word, (uint32_t)weight);
}

static inline void smg_lanes_add_two(struct smg_lanes *lanes, uint32_t word0, uint32_t word1, const int8_t *weights)
{
    smg_lanes_add(lanes, word0, weights[0]);
    smg_lanes_add(lanes, word1, weights[1]);
}

static inline uint32_t smg_lanes_sum0(const struct smg_lanes *lanes)
{
    return lanes->sum0;
}

static inline uint32_t smg_lanes_sum1(const struct smg_lanes *lanes)
{
    return lanes->sum1;
}

#else

/* The words are value 0 + value 1 * 2^16, and so are the products with a weight, and sums of them. Two products have a
 * low part of -32,512 .. 32,768 and a high part of the same range; with SMG_PRODUCTS_BIAS added the low one is in
 * 0 .. 65,535 and the high one, less one, in -32,768 .. 32,767. So a shift gives it. Modulo 2^32 the sum of all low parts
 * is that of the words less that of the high parts times 2^16. */
#define SMG_PRODUCTS_BIAS UINT32_C(0xFFFF7FFF) /* 0x7FFF - 2^16 */

struct smg_lanes {
    uint32_t bias;
    uint32_t words;
    uint32_t high;
};

static inline struct smg_lanes smg_lanes_open(uint32_t bias, uint32_t additions)
{
    return (struct smg_lanes){bias, bias - additions * SMG_PRODUCTS_BIAS, additions};
}

static inline uint32_t smg_product(uint32_t word, int8_t weight)
{
    uint32_t factor = (uint32_t)weight;
    return word * factor;
}

static inline void smg_lanes_unpack(struct smg_lanes *lanes, uint32_t products)
{
    lanes->words += products;
    lanes->high += (uint32_t)((int32_t)products >> 16);
}

static inline void smg_lanes_add(struct smg_lanes *lanes, uint32_t word, int8_t weight)
{
    smg_lanes_unpack(lanes, SMG_PRODUCTS_BIAS + smg_product(word, weight));
}

static inline void smg_lanes_add_two(struct smg_lanes *lanes, uint32_t word0, uint32_t word1, const int8_t *weights)
{
    uint32_t products = SMG_PRODUCTS_BIAS + smg_product(word0, weights[0]);
    smg_lanes_unpack(lanes, products + smg_product(word1, weights[1]));
}

static inline uint32_t smg_lanes_sum0(const struct smg_lanes *lanes)
{
    return lanes->words - (lanes->high << 16);
}

static inline uint32_t smg_lanes_sum1(const struct smg_lanes *lanes)
{
    return lanes->bias + lanes->high;
}

#endif

#endif
