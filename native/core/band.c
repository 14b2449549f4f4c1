/* Gathers rows of words and runs dot products over them: see band.h. */
#include "band.h"

static bool is_pointwise(const struct smg_window *window)
{
    return window->kernel_h == 1 && window->kernel_w == 1 && window->stride_h == 1 && window->stride_w == 1;
}

void smg_band_open(struct smg_band *band, const struct smg_step *step, uint32_t channels)
{
    const struct smg_window *window = &step->record->parameters.window;
    const uint16_t *input = step->input->dimensions;
    const uint16_t *output = step->output->dimensions;
    bool pointwise = is_pointwise(window);
    band->step = step;
    band->channels = channels;
    uint32_t input_w = pointwise ? 1 : input[2];
    band->output_h = pointwise ? (uint32_t)output[1] * output[2] : output[1];
    band->output_w = pointwise ? 1 : output[2];
    band->tile = step->record->tile;
    uint32_t width = (band->output_w - 1) * window->stride_w + window->kernel_w;
    uint32_t inside = width - window->pad_left;
    uint32_t pixels = inside < input_w ? inside : input_w; /* that a row holds */
    band->row_words = smg_saturating_multiply(width, channels);
    band->left = window->pad_left * channels;
    band->gather.height = pointwise ? (uint32_t)input[1] * input[2] : input[1];
    band->gather.row_bytes = input_w * input[3];
    band->gather.values = pixels * channels;
    band->gather.step = channels == 1 ? input[3] : 1;
    band->gather.span = pixels * input[3];
    band->gather.quads = SMG_DSP && channels % 4 == 0;
    band->gather.words_gap = 4 * (band->row_words - band->gather.values);
    band->taps_h = (window->kernel_h - 1u) * window->dilation_h + 1;
    uint32_t pairs = (band->output_h + 1) / 2;
    bool single = band->tile >= pairs;
    band->apart = single ? pairs : 1;
    band->pair_rows = single || pointwise ? 1 : 2;
    uint32_t step_h = band->pair_rows * window->stride_h;
    band->period = band->taps_h < step_h ? band->taps_h : step_h;
    band->left_out = step_h - band->period;
    band->gather.row_step = 1;
    if (band->period == 1) { /* the rows left out are so between any two */
        band->gather.row_step = step_h;
        band->left_out = 0;
    }
    band->gather.row_gap = band->gather.row_bytes - band->gather.span;
    band->gather.apart = band->apart * window->stride_h;
    band->gather.padding = step->input->zero_point;
    band->pointwise = pointwise;
}

uint32_t smg_band_bytes(const struct smg_band *band)
{
    uint32_t rows = smg_saturating_add(smg_saturating_multiply(band->tile - 1, band->period), band->taps_h);
    return smg_saturating_multiply(smg_saturating_multiply(rows, band->row_words), 4);
}

void smg_band_place(struct smg_band *band, void *memory)
{
    int32_t zero_point = band->step->input->zero_point;
    uint32_t padding = smg_pair(zero_point, zero_point);
    uint32_t *word = memory;
    const uint32_t *end = word + smg_band_bytes(band) / 4;
    uint32_t around = band->row_words - band->gather.values; /* between the values of one row and those of the next */
    band->words = memory;
    for (uint32_t i = 0; i < band->left; ++i) {
        *word++ = padding;
    }
    while (around != 0 && word < end) { /* what is padding in one row is padding in all of them */
        word += band->gather.values;
        for (uint32_t i = 0; i < around && word < end; ++i) {
            *word++ = padding;
        }
    }
}

void smg_band_rewind(struct smg_band *band, uint32_t channel)
{
    band->gather.start = band->step->input_data + channel;
    band->ready = 0;
    band->phase = band->left_out == 0 ? 0 : band->period;
    band->next_y = 0u - band->step->record->parameters.window.pad_top;
}

/* The rows of a block of a pointwise convolution lie without gaps, here and in the input: they are gathered as one row.
 * Of an odd number the one in the middle is in two pairs. */
static void fill_pointwise(struct smg_band *band, uint32_t pairs)
{
    band->apart = band->next_y + 2 * pairs > band->output_h ? pairs - 1 : pairs;
    band->gather.apart = band->apart;
    band->gather.span = pairs * band->gather.row_bytes;
    band->gather.values = pairs * band->row_words;
    smg_gather(band->words, &band->gather, band->next_y, 1);
    band->next_y += 2 * pairs;
    band->ready = pairs;
}

void smg_band_fill(struct smg_band *band, uint32_t pairs)
{
    if (band->pointwise) {
        fill_pointwise(band, pairs);
        return;
    }
    uint32_t left = (pairs - 1) * band->period + band->taps_h - band->ready;
    uint32_t *words = band->words + band->ready * band->row_words + band->left;
    band->ready += left;
    while (left != 0) {
        uint32_t count = left;
        if (band->phase != 0 && count > band->phase) {
            count = band->phase;
        }
        count = smg_gather(words, &band->gather, band->next_y, count);
        words += count * band->row_words;
        left -= count;
        band->next_y += count * band->gather.row_step;
        if (band->phase != 0) {
            band->phase -= count;
            if (band->phase == 0) {
                band->phase = band->period;
                band->next_y += band->left_out;
            }
        }
    }
}

void smg_band_advance(struct smg_band *band, uint32_t pairs)
{
    uint32_t used = pairs * band->period; /* at most `ready`: every row of a period is read */
    band->ready -= used;
    const uint32_t *kept = band->words + used * band->row_words;
    for (uint32_t i = 0; i < band->ready * band->row_words; ++i) {
        band->words[i] = kept[i];
    }
}

void smg_band_shape(const struct smg_band *band, struct smg_dot *dot)
{
    const struct smg_window *window = &band->step->record->parameters.window;
    dot->rows = window->kernel_h;
    dot->columns = window->kernel_w * band->channels;
    dot->row_words = window->dilation_h * band->row_words;
    dot->pair_words = window->stride_w * band->channels;
    dot->output_step = band->step->output->dimensions[3];
    dot->row_pairs = band->output_w;
    dot->quads = band->gather.quads;
    if (band->output_w == 1) { /* a column: all pairs of a block follow each other */
        dot->pair_words = band->period * band->row_words;
        dot->output_step *= band->pair_rows;
    }
}

void smg_band_block(struct smg_band *band, uint32_t r, uint32_t pairs)
{
    uint32_t row_bytes = band->output_w * band->step->output->dimensions[3];
    bool lone = !band->pointwise && r + 2 * pairs > band->output_h; /* the last row has none below it */
    struct smg_pairs *run = &band->run;
    band->outputs = band->step->output_data + r * row_bytes;
    run->words = band->words;
    run->count = band->output_w;
    run->rows = pairs;
    run->row_words = band->period * band->row_words;
    run->distance = band->apart * row_bytes;
    run->last_distance = lone ? 0 : run->distance;
    run->output_row_step = band->pair_rows * row_bytes;
    if (band->output_w == 1 && !lone) { /* a column: its pairs follow each other like those of a row */
        run->count = pairs;
        run->rows = 1;
    }
}

void smg_band_run(struct smg_band *band, const struct smg_dot *dot, const void *code)
{
    band->run.outputs = band->outputs + dot->channel;
    smg_dot_run(dot, code, &band->run);
}
