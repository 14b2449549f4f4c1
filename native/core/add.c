/* ADD with TFLite's arithmetic, kernel 0.
 * An element is read before the one at the same place is written, so that the output may lie on an operand. */
#include "broadcast.h"

/* One operand of ADD. */
struct operand {
    int32_t zero_point;
    int32_t high; /* of the multiplier's halves */
    int32_t low;
    uint32_t exponent;
};

static void open_operand(struct operand *operand, const struct smg_tensor_record *tensor,
                         const struct smg_scaling *scaling)
{
    operand->zero_point = tensor->zero_point;
    operand->high = scaling->multiplier >> 16;
    operand->low = scaling->multiplier & 0xFFFF;
    operand->exponent = (uint32_t)-scaling->shift;
}

/* requantize((value - zero point) * 2^20), where TFLite's left shift of 20 makes the first rounding
 * (difference * multiplier + 2^10) / 2^11. Both products fit 32 bits. */
static inline int32_t scale_operand(const struct operand *operand, int32_t value)
{
    int32_t difference = value - operand->zero_point;
    int32_t rounded = difference * operand->high * 32 + ((difference * operand->low + 1024) >> 11);
    return smg_rounding_shift_right(rounded, operand->exponent);
}

void smg_add(const struct smg_step *step)
{
    const struct smg_scaling *scaling = smg_requantization_data(step);
    struct operand operand1;
    struct operand operand2;
    struct broadcast index2;
    open_operand(&operand1, step->input, scaling);
    open_operand(&operand2, step->input2, scaling + 1);
    open_broadcast(&index2, step);
    int32_t multiplier = scaling[2].multiplier;
    uint32_t exponent = (uint32_t)-scaling[2].shift;
    uint32_t elements = smg_elements(step->output);
    for (uint32_t i = 0; i < elements; ++i) {
        uint32_t sum = (uint32_t)scale_operand(&operand1, step->input_data[i]) +
                       (uint32_t)scale_operand(&operand2, step->input2_data[index2.index]);
        int32_t scaled = smg_rounded_high((int32_t)sum, multiplier);
        step->output_data[i] = smg_clamp_output(step, smg_rounding_shift_right(scaled, exponent));
        next_broadcast(&index2);
    }
}
