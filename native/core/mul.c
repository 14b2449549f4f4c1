/* MUL.
 * An element is read before the one at the same place is written, so that the output may lie on an operand. */
#include "broadcast.h"

void smg_mul(const struct smg_step *step)
{
    const struct smg_scaling *scaling = smg_requantization_data(step);
    struct broadcast index2;
    open_broadcast(&index2, step);
    uint32_t elements = smg_elements(step->output);
    for (uint32_t i = 0; i < elements; ++i) {
        int32_t x = step->input_data[i] - step->input->zero_point;
        int32_t y = step->input2_data[index2.index] - step->input2->zero_point;
        int32_t scaled = smg_requantize((uint32_t)(x * y), scaling->multiplier, scaling->shift);
        step->output_data[i] = smg_clamp_output(step, scaled);
        next_broadcast(&index2);
    }
}
