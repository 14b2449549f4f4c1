/* Which taps of a window lie inside the input. */
#include "internal.h"

/* ceil(distance / dilation) without a division in the common case; Cortex-M0+ has none in hardware. */
static uint32_t steps(uint32_t distance, uint32_t dilation)
{
    return dilation == 1 ? distance : smg_divide(distance + dilation - 1, dilation);
}

/* The origin is within -65535 .. 65534 because (output - 1) * stride - pad <= input - 1 was checked at load. */
struct smg_taps smg_window_taps(uint32_t output_position, uint32_t stride, uint32_t pad, uint32_t kernel,
                                uint32_t dilation, uint32_t input_size)
{
    struct smg_taps taps;
    uint32_t distance = output_position * stride;
    uint32_t inside = steps(input_size + pad - distance, dilation);
    taps.origin = (int32_t)(distance - pad);
    taps.first = pad > distance ? steps(pad - distance, dilation) : 0;
    taps.end = inside < kernel ? inside : kernel;
    return taps;
}
