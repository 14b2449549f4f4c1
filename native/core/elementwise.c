/* ADD and MUL of two tensors; the second is broadcast: element i of the output uses y[i / repeat mod elements(y)].
 * An element is read before the one at the same place is written, so that the output may lie on an operand. */
#include "internal.h"

#define ADD_LEFT_SHIFT 20 /* TFLite's, for int8 */

static int32_t add(const struct smg_scaling *scaling, int32_t x, int32_t y)
{
    uint32_t a = (uint32_t)smg_requantize((uint32_t)x << ADD_LEFT_SHIFT, scaling[0].multiplier, scaling[0].shift);
    uint32_t b = (uint32_t)smg_requantize((uint32_t)y << ADD_LEFT_SHIFT, scaling[1].multiplier, scaling[1].shift);
    return smg_requantize(a + b, scaling[2].multiplier, scaling[2].shift);
}

static int32_t multiply(const struct smg_scaling *scaling, int32_t x, int32_t y)
{
    return smg_requantize((uint32_t)(x * y), scaling->multiplier, scaling->shift);
}

static inline void combine(const struct smg_step *step,
                           int32_t (*operation)(const struct smg_scaling *scaling, int32_t x, int32_t y))
{
    const struct smg_scaling *scaling = smg_requantization_data(step);
    uint32_t repeat = step->record->parameters.broadcast.repeat;
    uint32_t elements = smg_elements(step->output);
    uint32_t elements2 = smg_elements(step->input2);
    uint32_t repeated = 0;
    uint32_t index2 = 0;
    for (uint32_t i = 0; i < elements; ++i) {
        int32_t x = step->input_data[i] - step->input->zero_point;
        int32_t y = step->input2_data[index2] - step->input2->zero_point;
        step->output_data[i] = smg_clamp_output(step, operation(scaling, x, y));
        if (++repeated == repeat) {
            repeated = 0;
            index2 = index2 + 1 == elements2 ? 0 : index2 + 1;
        }
    }
}

void smg_add(const struct smg_step *step)
{
    combine(step, add);
}

void smg_mul(const struct smg_step *step)
{
    combine(step, multiply);
}
