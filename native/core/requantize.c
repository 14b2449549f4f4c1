/* Fixed-point arithmetic: section 3 of docs/format.md, which is that of gemmlowp and TFLite's reference kernels. */
#include "internal.h"

int32_t smg_doubling_high_multiply(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN) {
        return INT32_MAX;
    }
    return smg_rounded_high(a, b);
}

int32_t smg_requantize(uint32_t value, int32_t multiplier, int32_t shift)
{
    uint32_t left = shift > 0 ? (uint32_t)shift : 0;
    uint32_t right = shift < 0 ? (uint32_t)-shift : 0;
    return smg_rounding_shift_right(smg_doubling_high_multiply((int32_t)(value << left), multiplier), right);
}

int8_t smg_clamp_output(const struct smg_step *step, int32_t value)
{
    int32_t output = (int32_t)((uint32_t)value + (uint32_t)step->output->zero_point);
    if (output < step->record->activation_min) {
        return step->record->activation_min;
    }
    if (output > step->record->activation_max) {
        return step->record->activation_max;
    }
    return (int8_t)output;
}

void smg_channels_open(struct smg_channels *channels, const struct smg_step *step)
{
    uint32_t flags = step->record->flags;
    uint32_t count = step->output->dimensions[3];
    uint32_t multiplier_count = (flags & SMG_SHARED_MULTIPLIER) ? 1 : count;
    uint32_t bias_bytes = (flags & SMG_NO_BIAS) ? 0 : (flags & SMG_BIAS_16) ? 2 : 4;
    channels->step = step;
    channels->multipliers = smg_requantization_data(step);
    channels->biases = channels->multipliers + multiplier_count;
    channels->shifts = (const int8_t *)channels->biases + (size_t)count * bias_bytes;
}

void smg_channels_read(const struct smg_channels *channels, uint32_t channel, struct smg_channel *result)
{
    uint32_t flags = channels->step->record->flags;
    uint32_t index = (flags & SMG_SHARED_MULTIPLIER) ? 0 : channel;
    result->multiplier = channels->multipliers[index];
    result->shift = channels->shifts[index];
    if (flags & SMG_NO_BIAS) {
        result->bias = 0;
    } else if (flags & SMG_BIAS_16) {
        result->bias = (uint32_t)((const int16_t *)channels->biases)[channel];
    } else {
        result->bias = ((const uint32_t *)channels->biases)[channel];
    }
}

int8_t smg_channel_output(const struct smg_step *step, const struct smg_channel *channel, uint32_t accumulator)
{
    return smg_clamp_output(step, smg_requantize(accumulator, channel->multiplier, channel->shift));
}
