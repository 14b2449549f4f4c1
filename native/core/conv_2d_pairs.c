/* CONV_2D, kernel 1: block by block of output rows (band.h), two output channels at a time. If the compiled weights of
 * all output channels fit the workspace they are made once, else again for every block; but each block begins with the
 * channels with which the one before it ended, whose code is still there. */
#include "band.h"

struct conv {
    struct smg_band band;
    struct smg_weights weights;
    struct smg_channels channels;
    struct smg_dot dot;
    int8_t *buffer; /* decoded weights of two output channels */
    uint8_t *code;
    uint8_t *end; /* of the room for code */
    uint32_t bytes; /* of the code of the channels in `dot`, if it is made again for every block; 0: there was no room */
};

static void first_channels(struct conv *conv)
{
    smg_weights_rewind(&conv->weights);
    conv->dot.channel = 0;
    conv->dot.count = 0;
}

/* The next two output channels; the last one alone if their number is odd. False when there is none left. */
static bool next_channels(struct conv *conv)
{
    struct smg_dot *dot = &conv->dot;
    uint32_t left = conv->band.step->output->dimensions[3] - dot->channel - dot->count;
    dot->channel += dot->count;
    dot->count = left < 2 ? left : 2;
    if (left == 0) {
        return false;
    }
    dot->weights = smg_weights_next(&conv->weights, dot->count, conv->buffer);
    return true;
}

static uint32_t compile(struct conv *conv, uint8_t *code)
{
    return smg_dot_compile(&conv->dot, code, (uint32_t)(conv->end - code));
}

/* Compiles the weights of all output channels, one behind the other; false if they do not fit. */
static bool compile_all(struct conv *conv)
{
    uint8_t *code = conv->code;
    first_channels(conv);
    while (next_channels(conv)) {
        uint32_t bytes = compile(conv, code);
        if (bytes == 0) {
            return false;
        }
        code += bytes;
    }
    return true;
}

static void run_block(struct conv *conv, bool compiled)
{
    struct smg_dot *dot = &conv->dot;
    const uint8_t *code = conv->code;
    if (compiled) {
        for (dot->channel = 0; dot->channel < conv->band.step->output->dimensions[3]; dot->channel += 2) {
            smg_band_run(&conv->band, dot, code);
            code += smg_dot_code_bytes(code);
        }
        return;
    }
    uint32_t channels = conv->band.step->output->dimensions[3];
    for (uint32_t done = 0; done != channels; done += dot->count) {
        if (done != 0 || dot->count == 0) {
            if (!next_channels(conv)) {
                first_channels(conv);
                (void)next_channels(conv);
            }
            conv->bytes = compile(conv, conv->code);
        }
        smg_band_run(&conv->band, dot, conv->bytes == 0 ? NULL : code);
    }
}

void smg_conv_2d_pairs(const struct smg_step *step)
{
    struct conv conv;
    smg_channels_open(&conv.channels, step);
    smg_weights_open(&conv.weights, step);
    smg_band_open(&conv.band, step, step->input->dimensions[3]);
    smg_band_rewind(&conv.band, 0);
    uint32_t decoded = conv.weights.raw == NULL ? smg_align4(2 * conv.weights.per_channel) : 0;
    conv.buffer = (int8_t *)conv.weights.free;
    conv.code = conv.weights.free + decoded;
    conv.end = conv.weights.free + 4 * step->record->workspace - smg_band_bytes(&conv.band);
    smg_band_place(&conv.band, conv.end);
    conv.dot.channels = &conv.channels;
    smg_band_shape(&conv.band, &conv.dot);
    uint32_t left = (conv.band.output_h + 1) / 2; /* pairs of output rows */
    bool compiled = left > conv.band.tile && compile_all(&conv);
    if (!compiled) {
        first_channels(&conv);
    }
    for (uint32_t r = 0, pairs; left != 0; left -= pairs, r += 2 * pairs) {
        pairs = left < conv.band.tile ? left : conv.band.tile;
        smg_band_fill(&conv.band, pairs);
        smg_band_block(&conv.band, r, pairs);
        run_block(&conv, compiled);
        if (pairs != left) {
            smg_band_advance(&conv.band, pairs);
        }
    }
}
