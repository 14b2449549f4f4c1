/* Dot products without compiled weights on ARMv6-M: the fallback where there is no room for code. */
#include "dot.h"

#if SMG_THUMB_1

static uint32_t first_value(uint32_t word)
{
    return (uint32_t)(int32_t)(int16_t)(word & 0xFFFF);
}

static uint32_t second_value(uint32_t word)
{
    return (uint32_t)((int32_t)(word - first_value(word)) >> 16); /* the first value has borrowed from it */
}

static void run_pair(const struct smg_dot *dot, const uint32_t *words, int8_t *output, uint32_t distance)
{
    const int8_t *weight = dot->weights;
    const struct smg_step *step = dot->channels->step;
    for (uint32_t c = 0; c < dot->count; ++c) {
        struct smg_channel channel;
        smg_channels_read(dot->channels, dot->channel + c, &channel);
        uint32_t sum0 = channel.bias;
        uint32_t sum1 = sum0;
        for (uint32_t i = 0; i < dot->rows; ++i) {
            const uint32_t *row = words + i * dot->row_words;
            for (uint32_t j = 0; j < dot->columns; ++j) {
                uint32_t w = (uint32_t)(int32_t)*weight++;
                sum0 += first_value(row[j]) * w;
                sum1 += second_value(row[j]) * w;
            }
        }
        if (distance != 0) {
            output[distance + c] = smg_channel_output(step, &channel, sum1);
        }
        output[c] = smg_channel_output(step, &channel, sum0);
    }
}

void smg_dot_run_plain(const struct smg_dot *dot, const struct smg_pairs *pairs)
{
    for (uint32_t row = 0; row < pairs->rows; ++row) {
        const uint32_t *words = pairs->words + row * pairs->row_words;
        int8_t *outputs = pairs->outputs + row * pairs->output_row_step;
        uint32_t distance = row + 1 == pairs->rows ? pairs->last_distance : pairs->distance;
        for (uint32_t p = 0; p < pairs->count; ++p) {
            run_pair(dot, words + p * dot->pair_words, outputs + p * dot->output_step, distance);
        }
    }
}

#endif
