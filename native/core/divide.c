/* Division for Cortex-M0+: a bit at a time, about 200 cycles. */
#include "internal.h"

#if SMG_THUMB_1

uint32_t smg_divide(uint32_t dividend, uint32_t divisor)
{
    uint32_t quotient = 0;
    uint32_t remainder = 0;
    for (uint32_t bit = 0; bit < 32; ++bit) {
        uint32_t carry = remainder >> 31;
        remainder = remainder << 1 | dividend >> 31;
        dividend <<= 1;
        quotient <<= 1;
        if (carry != 0 || remainder >= divisor) {
            remainder -= divisor;
            ++quotient;
        }
    }
    return quotient;
}

#endif
