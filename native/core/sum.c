/* Sums for pools and means. */
#include "internal.h"

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
