/* PAD: the input surrounded by the output's zero point. */
#include "internal.h"

static int8_t *fill(int8_t *to, uint32_t count, int8_t value)
{
    for (uint32_t i = 0; i < count; ++i) {
        to[i] = value;
    }
    return to + count;
}

void smg_pad(const struct smg_step *step)
{
    const struct smg_pad *pad = &step->record->parameters.pad;
    const uint16_t *input = step->input->dimensions;
    const uint16_t *output = step->output->dimensions;
    uint32_t pixel = output[3];
    uint32_t row = output[2] * pixel;
    int8_t zero = step->output->zero_point;
    const int8_t *from = step->input_data;
    int8_t *to = fill(step->output_data, pad->before_h * row, zero);
    for (uint32_t y = 0; y < input[1]; ++y) {
        to = fill(to, pad->before_w * pixel, zero);
        for (uint32_t x = 0; x < input[2]; ++x) {
            to = fill(to, pad->before_c, zero);
            for (uint32_t c = 0; c < input[3]; ++c) {
                *to++ = *from++;
            }
            to = fill(to, pad->after_c, zero);
        }
        to = fill(to, pad->after_w * pixel, zero);
    }
    fill(to, pad->after_h * row, zero);
}
