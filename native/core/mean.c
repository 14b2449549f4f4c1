/* MEAN: the input seen as [outer][count][inner], averaged over count. */
#include "internal.h"

void smg_mean(const struct smg_step *step)
{
    const struct smg_scaling *scaling = smg_requantization_data(step);
    uint32_t inner = step->record->parameters.mean.inner;
    uint32_t elements = smg_elements(step->output);
    uint32_t count = smg_divide(smg_elements(step->input), elements);
    int32_t zero_points = (int32_t)count * step->input->zero_point;
    const int8_t *block = step->input_data;
    for (uint32_t first = 0; first < elements; first += inner) {
        for (uint32_t i = 0; i < inner; ++i) {
            int32_t sum = smg_sum(block + i, count, inner) - zero_points; /* within 32 bits: count < 2^23 */
            int32_t mean = smg_requantize((uint32_t)sum, scaling->multiplier, scaling->shift);
            step->output_data[first + i] = smg_clamp_output(step, mean);
        }
        block += count * inner;
    }
}
