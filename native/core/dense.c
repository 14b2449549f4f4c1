/* Dot products of one row of inputs with the weights of up to SMG_DENSE_CHANNELS output channels: the definition. */
#include "internal.h"

#if SMG_THUMB_1
#define INPUTS_AT_A_TIME 1 /* small: there, only the last group of a layer comes here */
#else
#define INPUTS_AT_A_TIME 16
#endif

static __attribute__((noinline)) void multiply_raw(const int8_t *input, const int8_t *weights, uint32_t inputs,
                                                   uint32_t *sums, uint32_t channels)
{
    for (uint32_t c = 0; c < channels; ++c) {
        uint32_t sum = 0;
        for (uint32_t k = 0; k < inputs; ++k) {
            sum += (uint32_t)(input[k] * *weights++);
        }
        sums[c] = sum;
    }
}

void smg_dense_raw(const int8_t *input, const int8_t *weights, uint32_t inputs, uint32_t *sums, uint32_t channels)
{
#if SMG_THUMB_1
    if (channels == SMG_DENSE_CHANNELS) {
        smg_dense_raw_thumb(input, weights, inputs, sums);
        return;
    }
#endif
    multiply_raw(input, weights, inputs, sums, channels);
}

static __attribute__((noinline)) void multiply_streamed(struct smg_decoder *decoder, const int8_t *input,
                                                        uint32_t inputs, uint32_t *sums, uint32_t channels)
{
    int8_t weights[INPUTS_AT_A_TIME * SMG_DENSE_CHANNELS];
    for (uint32_t c = 0; c < channels; ++c) {
        sums[c] = 0;
    }
    while (inputs != 0) {
        uint32_t count = inputs < INPUTS_AT_A_TIME ? inputs : INPUTS_AT_A_TIME;
        const int8_t *weight = weights;
        smg_decode(decoder, weights, count * channels, 0);
        inputs -= count;
        for (; count != 0; --count, ++input) {
            for (uint32_t c = 0; c < channels; ++c) {
                sums[c] += (uint32_t)(*input * *weight++);
            }
        }
    }
}

void smg_dense_streamed(struct smg_decoder *decoder, const int8_t *input, uint32_t inputs, uint32_t *sums,
                        uint32_t channels)
{
#if SMG_THUMB_1
    if (channels == SMG_DENSE_CHANNELS) {
        smg_dense_streamed_thumb(decoder, input, inputs, sums);
        return;
    }
#endif
    multiply_streamed(decoder, input, inputs, sums, channels);
}
