/* Instructions of Cortex-M4 and M33 on two 16-bit halves of a word; in C elsewhere, so that what is made of them can be
 * tested on any computer. */
#ifndef SMG_DSP_H
#define SMG_DSP_H

#include "internal.h"

/* Four bytes from any address, the first one lowest. */
static inline uint32_t smg_load_4(const int8_t *bytes)
{
    return (uint32_t)(uint8_t)bytes[0] | (uint32_t)(uint8_t)bytes[1] << 8 | (uint32_t)(uint8_t)bytes[2] << 16
           | (uint32_t)(uint8_t)bytes[3] << 24;
}

#if defined(__ARM_FEATURE_DSP)

/* Bytes 0 and 2 as signed halves. */
static inline uint32_t smg_even_bytes(uint32_t bytes)
{
    uint32_t halves;
    __asm("sxtb16 %0, %1" : "=r"(halves) : "r"(bytes));
    return halves;
}

/* Bytes 1 and 3. */
static inline uint32_t smg_odd_bytes(uint32_t bytes)
{
    uint32_t halves;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(bytes));
    return halves;
}

/* sum + low half of a * low half of b + high half of a * high half of b */
static inline uint32_t smg_add_products(uint32_t sum, uint32_t a, uint32_t b)
{
    __asm("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

/* sum + a half of a * a half of b; b is the bottom half, t the top one. */
static inline uint32_t smg_add_product_bb(uint32_t sum, uint32_t a, uint32_t b)
{
    __asm("smlabb %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

static inline uint32_t smg_add_product_bt(uint32_t sum, uint32_t a, uint32_t b)
{
    __asm("smlabt %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

static inline uint32_t smg_add_product_tb(uint32_t sum, uint32_t a, uint32_t b)
{
    __asm("smlatb %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

static inline uint32_t smg_add_product_tt(uint32_t sum, uint32_t a, uint32_t b)
{
    __asm("smlatt %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

#else

static inline uint32_t smg_even_bytes(uint32_t bytes)
{
    return (uint16_t)(int8_t)bytes | (uint32_t)(int8_t)(bytes >> 16) << 16;
}

static inline uint32_t smg_odd_bytes(uint32_t bytes)
{
    return smg_even_bytes(bytes >> 8);
}

static inline uint32_t smg_add_product_bb(uint32_t sum, uint32_t a, uint32_t b)
{
    return sum + (uint32_t)((int16_t)(a & 0xFFFF) * (int16_t)(b & 0xFFFF));
}

static inline uint32_t smg_add_product_bt(uint32_t sum, uint32_t a, uint32_t b)
{
    return smg_add_product_bb(sum, a, b >> 16);
}

static inline uint32_t smg_add_product_tb(uint32_t sum, uint32_t a, uint32_t b)
{
    return smg_add_product_bb(sum, a >> 16, b);
}

static inline uint32_t smg_add_product_tt(uint32_t sum, uint32_t a, uint32_t b)
{
    return smg_add_product_bb(sum, a >> 16, b >> 16);
}

static inline uint32_t smg_add_products(uint32_t sum, uint32_t a, uint32_t b)
{
    return smg_add_product_tt(smg_add_product_bb(sum, a, b), a, b);
}

#endif

#endif
