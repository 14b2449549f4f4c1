/* Arithmetic on sizes that a blob claims. UINT32_MAX stands for it and all that is larger: nothing of that size is
 * inside a blob or an arena. */
#include "internal.h"

uint32_t smg_saturating_add(uint32_t a, uint32_t b)
{
    return a + b < a ? UINT32_MAX : a + b;
}

uint32_t smg_saturating_multiply(uint32_t a, uint32_t b)
{
    bool small = (a | b) <= UINT16_MAX;
    return !small && b != 0 && a > smg_divide(UINT32_MAX, b) ? UINT32_MAX : a * b;
}
