/* SOFTMAX over the last dimension, in fixed point: section 4 of docs/format.md (gemmlowp's functions).
 * Qm is an i32 with m integer bits: value = raw * 2^(m - 31). Sums that can wrap are computed unsigned. */
#include "internal.h"

#define ACCUMULATION_BITS 12 /* the sum of exponentials is Q12 */

static int32_t saturate(int64_t value)
{
    if (value > INT32_MAX) {
        return INT32_MAX;
    }
    return value < INT32_MIN ? INT32_MIN : (int32_t)value;
}

/* e^a for a in [-0.25, 0), Q0 -> Q0: Taylor series around -1/8. */
static int32_t exp_small(int32_t a)
{
    const int32_t exp_of_minus_eighth = 1895147668;
    const int32_t one_third = 715827883;
    int32_t x = a + (INT32_C(1) << 28);
    int32_t x2 = smg_doubling_high_multiply(x, x);
    int32_t x3 = smg_doubling_high_multiply(x2, x);
    int32_t x4 = smg_doubling_high_multiply(x2, x2);
    int32_t x4_over_4 = smg_rounding_shift_right(x4, 2);
    int32_t tail = smg_rounding_shift_right(smg_doubling_high_multiply(x4_over_4 + x3, one_third) + x2, 1);
    return saturate((int64_t)exp_of_minus_eighth + smg_doubling_high_multiply(exp_of_minus_eighth, x + tail));
}

/* e^a for a <= 0, Q5 -> Q0. */
static int32_t exp_on_negative(int32_t a)
{
    /* e^-(2^k) for k = -2 .. 4, Q0: what each bit of the rest multiplies by. */
    static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = INT32_C(1) << 24;
    if (a == 0) {
        return INT32_MAX;
    }
    int32_t remainder = (a & (quarter - 1)) - quarter;
    int32_t result = exp_small(remainder * 32);
    uint32_t rest = (uint32_t)remainder - (uint32_t)a;
    for (uint32_t i = 0; i < sizeof(factors) / sizeof(factors[0]); ++i) {
        if (rest >> (24 + i) & 1) {
            result = smg_doubling_high_multiply(result, factors[i]);
        }
    }
    return result;
}

/* 1 / (1 + a) for a in [0, 1), Q0 -> Q0: three Newton-Raphson steps. */
static int32_t reciprocal(int32_t a)
{
    const int32_t one = INT32_C(1) << 29; /* Q2 */
    int32_t half_denominator = (int32_t)(((uint32_t)a + (UINT32_C(1) << 31)) / 2);
    int32_t x = 1515870810 + smg_doubling_high_multiply(half_denominator, -1010580540);
    for (int i = 0; i < 3; ++i) {
        int32_t error = one - smg_doubling_high_multiply(half_denominator, x);
        x += saturate((int64_t)smg_doubling_high_multiply(x, error) * 4);
    }
    return saturate((int64_t)x * 2);
}

/* The exponential of a difference d <= 0 of two quantised values, Q0. */
static int32_t exponential(const struct smg_softmax *softmax, int32_t difference)
{
    int32_t shifted = (int32_t)((uint32_t)difference << softmax->scaling.shift);
    return exp_on_negative(smg_doubling_high_multiply(shifted, softmax->scaling.multiplier));
}

/* value: above 0 */
static uint32_t leading_zeros(uint32_t value)
{
    uint32_t count = 0;
    while (!(value >> (31 - count) & 1)) {
        ++count;
    }
    return count;
}

static void softmax_row(const struct smg_softmax *softmax, const int8_t *input, int8_t *output, uint32_t count)
{
    int32_t largest = INT8_MIN;
    for (uint32_t i = 0; i < count; ++i) {
        largest = input[i] > largest ? input[i] : largest;
    }
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; ++i) {
        if (input[i] - largest >= softmax->minimum) {
            sum += (uint32_t)smg_rounding_shift_right(exponential(softmax, input[i] - largest), ACCUMULATION_BITS);
        }
    }
    /* The largest element alone adds 2^19, and 4095 elements stay below 2^31: 1 to 12 zeros. */
    uint32_t zeros = leading_zeros(sum);
    int32_t factor = reciprocal((int32_t)((sum << zeros) - (UINT32_C(1) << 31)));
    uint32_t exponent = ACCUMULATION_BITS + 31 - 8 - zeros;
    for (uint32_t i = 0; i < count; ++i) {
        int32_t difference = input[i] - largest;
        if (difference < softmax->minimum) {
            output[i] = INT8_MIN;
            continue;
        }
        int32_t product = smg_doubling_high_multiply(factor, exponential(softmax, difference));
        int32_t value = smg_rounding_shift_right(product, exponent) + INT8_MIN;
        output[i] = (int8_t)(value > INT8_MAX ? INT8_MAX : value < INT8_MIN ? INT8_MIN : value);
    }
}

void smg_softmax(const struct smg_step *step)
{
    const struct smg_softmax *softmax = smg_requantization_data(step);
    uint32_t count = step->output->dimensions[3];
    uint32_t elements = smg_elements(step->output);
    for (uint32_t i = 0; i < elements; i += count) {
        softmax_row(softmax, step->input_data + i, step->output_data + i, count);
    }
}
