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
    channels->numbers = smg_requantization_data(step);
    channels->step = step;
}

#if !SMG_THUMB_1

/* `count` bits, 0 .. 32, from bit `first` on. */
static uint32_t read_bits(const uint32_t *words, uint32_t first, uint32_t count)
{
    if (count == 0) {
        return 0; /* there may be no word */
    }
    const uint32_t *word = words + first / 32;
    uint32_t offset = first % 32;
    uint32_t bits = word[0] >> offset;
    if (offset + count > 32) {
        bits |= word[1] << (32 - offset);
    }
    return bits & (UINT32_MAX >> (32 - count));
}

void smg_channels_read(const struct smg_channels *channels, uint32_t channel, struct smg_channel *result)
{
    const struct smg_channel_numbers *numbers = channels->numbers;
    uint32_t bias_bits = numbers->bias_bits;
    uint32_t multiplier_bits = numbers->multiplier_bits;
    uint32_t shift_bits = numbers->shift_bits;
    uint32_t first = channel * (bias_bits + multiplier_bits + shift_bits);
    uint32_t sign = bias_bits == 0 ? 0 : UINT32_C(1) << (bias_bits - 1);
    result->bias = (read_bits(numbers->entries, first, bias_bits) ^ sign) - sign;
    result->multiplier = (int32_t)numbers->multiplier;
    result->shift = numbers->shift;
    if (multiplier_bits + shift_bits != 0) {
        first += bias_bits;
        uint32_t steps = read_bits(numbers->entries, first, multiplier_bits);
        result->multiplier += (int32_t)(steps << (30 - multiplier_bits));
        result->shift += (int32_t)read_bits(numbers->entries, first + multiplier_bits, shift_bits);
    }
}

#endif

int8_t smg_channel_output(const struct smg_step *step, const struct smg_channel *channel, uint32_t accumulator)
{
    int32_t scaled;
    if (channel->shift > 0) {
        scaled = smg_requantize(accumulator, channel->multiplier, channel->shift);
    } else { /* the same without calls: multipliers are not negative */
        scaled = smg_rounding_shift_right(smg_rounded_high((int32_t)accumulator, channel->multiplier),
                                          (uint32_t)-channel->shift);
    }
    return smg_clamp_output(step, scaled);
}
