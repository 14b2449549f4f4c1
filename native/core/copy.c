/* COPY: rows of `chunk` elements into the output at distances of `stride`; several of them make a concatenation. */
#include "internal.h"

void smg_copy(const struct smg_step *step)
{
    const struct smg_copy *copy = &step->record->parameters.copy;
    const int8_t *from = step->input_data;
    const int8_t *end = from + smg_elements(step->input);
    int8_t *to = step->output_data + copy->start;
    while (true) {
        for (uint32_t i = 0; i < copy->chunk; ++i) {
            to[i] = *from++;
        }
        if (from == end) {
            return; /* before `to` steps past the output's end */
        }
        to += copy->stride;
    }
}
