/* Division for Cortex-M0+: about 12 cycles for every bit of the quotient. */
#include "internal.h"

#if SMG_THUMB_1

uint32_t smg_divide(uint32_t dividend, uint32_t divisor)
{
    uint32_t quotient = 0;
    uint32_t bit = 1;
    while (divisor <= dividend >> 1) {
        divisor <<= 1;
        bit <<= 1;
    }
    do {
        if (dividend >= divisor) {
            dividend -= divisor;
            quotient += bit;
        }
        divisor >>= 1;
        bit >>= 1;
    } while (bit != 0);
    return quotient;
}

#endif
