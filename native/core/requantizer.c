/* Sums to outputs: see requantizer.h. */
#include "requantizer.h"

#if !SMG_THUMB_1

#define LARGEST_SHIFT 22

void smg_requantizer_open(struct smg_requantizer *requantizer, const struct smg_step *step,
                          const struct smg_channel *channel)
{
    requantizer->multiplier = channel->multiplier;
    requantizer->channel_shift = channel->shift;
    requantizer->zero_point = step->output->zero_point;
    requantizer->lowest = step->record->activation_min;
    requantizer->highest = step->record->activation_max;
    uint32_t shift = (uint32_t)-channel->shift - 1;
    if (shift - 1 >= LARGEST_SHIFT || requantizer->lowest != INT8_MIN || requantizer->highest != INT8_MAX) {
        requantizer->shift = 0;
        return;
    }
    requantizer->shift = shift;
    requantizer->added = ((uint32_t)requantizer->zero_point << shift) + (UINT32_C(1) << (shift - 1));
}

static inline int32_t clamp(int32_t value, int32_t lowest, int32_t highest)
{
    if (value < lowest) {
        value = lowest;
    }
    if (value > highest) {
        value = highest;
    }
    return value;
}

static inline int32_t saturate(int32_t value)
{
#if defined(__ARM_FEATURE_SAT)
    __asm("ssat %0, #8, %0" : "+r"(value));
    return value;
#else
    return clamp(value, INT8_MIN, INT8_MAX);
#endif
}

static inline int32_t output_of(const struct smg_requantizer *requantizer, uint32_t sum)
{
    uint32_t low = (sum & UINT32_C(0x80000000)) | UINT32_C(0x40000000);
    uint32_t high = requantizer->added + (uint32_t)((int32_t)sum >> 31);
    uint64_t result = (uint64_t)high << 32 | low;
    result += (uint64_t)((int64_t)(int32_t)sum * requantizer->multiplier);
    return saturate((int32_t)(uint32_t)(result >> 32) >> requantizer->shift);
}

static int32_t any_output_of(const struct smg_requantizer *requantizer, uint32_t sum)
{
    uint32_t scaled = (uint32_t)smg_requantize(sum, requantizer->multiplier, requantizer->channel_shift);
    uint32_t zero_point = (uint32_t)requantizer->zero_point;
    return clamp((int32_t)(scaled + zero_point), requantizer->lowest, requantizer->highest);
}

/* Apart, so that the usual way saves no registers for calls. */
static __attribute__((noinline)) void store_any(const struct smg_requantizer *requantizer, uint32_t sum0, uint32_t sum1,
                                                int8_t *output, uint32_t distance)
{
    output[distance] = (int8_t)any_output_of(requantizer, sum1);
    output[0] = (int8_t)any_output_of(requantizer, sum0);
}

void smg_requantizer_store(const struct smg_requantizer *requantizer, uint32_t sum0, uint32_t sum1, int8_t *output,
                           uint32_t distance)
{
    if (requantizer->shift == 0) {
        store_any(requantizer, sum0, sum1, output, distance);
        return;
    }
    int32_t output0 = output_of(requantizer, sum0);
    int32_t output1 = output_of(requantizer, sum1);
    output[distance] = (int8_t)output1;
    output[0] = (int8_t)output0; /* over the other if there is no pixel 1 */
}

#endif
