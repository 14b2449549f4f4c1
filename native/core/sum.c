/* Sums for pools and means. */
#include "internal.h"

#if SMG_THUMB_1

/* r0 the last element, r1 from there to the next one, up to 0, r3 the sum: 6 cycles an element. */
__attribute__((naked)) int32_t smg_sum(SMG_READ_BY_ASSEMBLY const int8_t *first, SMG_READ_BY_ASSEMBLY uint32_t count,
                                       SMG_READ_BY_ASSEMBLY uint32_t stride)
{
    __asm volatile(".syntax unified\n"
                   "push {r4, lr}\n"
                   "subs r1, #1\n"
                   "muls r1, r2\n"
                   "adds r0, r0, r1\n"
                   "negs r1, r1\n"
                   "movs r3, #0\n"
                   "1: ldrsb r4, [r0, r1]\n"
                   "adds r3, r3, r4\n"
                   "adds r1, r1, r2\n"
                   "ble 1b\n"
                   "movs r0, r3\n"
                   "pop {r4, pc}\n");
}

#else

int32_t smg_sum(const int8_t *first, uint32_t count, uint32_t stride)
{
    int32_t sum = 0;
    uint32_t element = 0;
    do {
        sum += first[element];
        element += stride;
    } while (--count != 0);
    return sum;
}

#endif
