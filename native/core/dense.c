/* Dot products of one row of inputs with the weights of up to SMG_DENSE_CHANNELS output channels: the definition. */
#include "internal.h"

#define WEIGHTS_AT_A_TIME 64

void smg_dense_raw(const int8_t *input, uint32_t inputs, const int8_t *weights, uint32_t channels, uint32_t *sums)
{
#if SMG_THUMB_1
    if (channels == SMG_DENSE_CHANNELS) {
        smg_dense_raw_thumb(input, weights, inputs, sums);
        return;
    }
#endif
    for (uint32_t c = 0; c < channels; ++c) {
        uint32_t sum = 0;
        for (uint32_t k = 0; k < inputs; ++k) {
            sum += (uint32_t)(input[k] * *weights++);
        }
        sums[c] = sum;
    }
}

void smg_dense_streamed(const int8_t *input, uint32_t inputs, struct smg_decoder *decoder, uint32_t channels,
                        uint32_t *sums)
{
#if SMG_THUMB_1
    if (channels == SMG_DENSE_CHANNELS) {
        smg_dense_streamed_thumb(decoder, input, inputs, sums);
        return;
    }
#endif
    int8_t weights[WEIGHTS_AT_A_TIME];
    for (uint32_t c = 0; c < channels; ++c) {
        sums[c] = 0;
    }
    for (const int8_t *end = input + inputs; input != end;) {
        uint32_t count = WEIGHTS_AT_A_TIME / SMG_DENSE_CHANNELS;
        if (count > (uint32_t)(end - input)) {
            count = (uint32_t)(end - input);
        }
        smg_decode(decoder, weights, count * channels);
        const int8_t *weight = weights;
        for (; count != 0; --count, ++input) {
            for (uint32_t c = 0; c < channels; ++c) {
                sums[c] += (uint32_t)(*input * *weight++);
            }
        }
    }
}
