/* DEPTHWISE_CONV_2D, kernel 1: channel by channel, each block by block of output rows (band.h). */
#include "band.h"

void smg_depthwise_conv_2d_pairs(const struct smg_step *step)
{
    uint32_t output_channels = step->output->dimensions[3];
    uint32_t outputs_per_input = smg_divide(output_channels, step->input->dimensions[3]);
    struct smg_band band;
    struct smg_weights weights;
    struct smg_channels channels;
    struct smg_dot dot;
    smg_channels_open(&channels, step);
    smg_weights_open(&weights, step);
    smg_band_open(&band, step, 1);
    smg_band_shape(&band, &dot);
    uint8_t *code = weights.free + (weights.raw == NULL ? smg_align4(weights.per_channel) : 0);
    uint8_t *end = weights.free + 4 * step->record->workspace - smg_band_bytes(&band);
    smg_band_place(&band, end);
    dot.channels = &channels;
    dot.count = 1;
    uint32_t all = (band.output_h + 1) / 2; /* pairs of output rows */
    uint32_t input_channel = 0;
    uint32_t outputs = 0; /* of this input channel */
    for (dot.channel = 0; dot.channel < output_channels; ++dot.channel) {
        dot.weights = smg_weights_next(&weights, 1, (int8_t *)weights.free);
        uint32_t bytes = smg_dot_compile(&dot, code, (uint32_t)(end - code));
        smg_band_rewind(&band, input_channel);
        for (uint32_t left = all, r = 0, pairs; left != 0; left -= pairs, r += 2 * pairs) {
            pairs = left < band.tile ? left : band.tile;
            smg_band_fill(&band, pairs);
            if (pairs != all || dot.channel == 0) { /* a single block is the same for all channels */
                smg_band_block(&band, r, pairs);
            }
            smg_band_run(&band, &dot, bytes == 0 ? NULL : code);
            if (pairs != left) {
                smg_band_advance(&band, pairs);
            }
        }
        if (++outputs == outputs_per_input) {
            outputs = 0;
            ++input_channel;
        }
    }
}
