/* LOOKUP: any function of one element, as a table of 256. */
#include "internal.h"

void smg_lookup(const struct smg_step *step)
{
    const int8_t *table = (const int8_t *)step->blob + step->record->weights_offset;
    uint32_t elements = smg_elements(step->output);
    for (uint32_t i = 0; i < elements; ++i) {
        step->output_data[i] = table[step->input_data[i] + 128];
    }
}
