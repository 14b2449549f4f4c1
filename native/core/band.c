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
    band->input_h = pointwise ? (uint32_t)input[1] * input[2] : input[1];
    band->input_w = pointwise ? 1 : input[2];
    band->output_h = pointwise ? (uint32_t)output[1] * output[2] : output[1];
    band->output_w = pointwise ? 1 : output[2];
    band->tile = step->record->tile;
    uint32_t width = (band->output_w - 1) * window->stride_w + window->kernel_w;
    uint32_t inside = width - window->pad_left;
    uint32_t pixels = inside < band->input_w ? inside : band->input_w; /* that a row holds */
    band->row_words = smg_saturating_multiply(width, channels);
    band->left = window->pad_left * channels;
    band->row_bytes = band->input_w * input[3];
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
    band->row_step = 1;
    if (band->period == 1) { /* the rows left out are so between any two */
        band->row_step = step_h;
        band->left_out = 0;
    }
    band->gather.row_gap = band->row_step * band->row_bytes - band->gather.span;
    band->edge.count = band->gather.values;
    band->edge.quads = band->gather.quads;
    band->padding = &step->input->zero_point;
    band->pointwise = pointwise;
    band->input_apart = band->apart * window->stride_h;
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
    band->start = band->step->input_data + channel;
    band->ready = 0;
    band->phase = band->left_out == 0 ? 0 : band->period;
    band->next_y = 0u - band->step->record->parameters.window.pad_top;
}

/* Gathers the rows from `y` on, at most `rows`: as many as lie inside the input, or a single one that does not. */
static uint32_t gather_rows(struct smg_band *band, uint32_t *words, uint32_t y, uint32_t rows)
{
    uint32_t y1 = y + band->input_apart;
    uint32_t height = band->input_h;
    uint32_t row_bytes = band->row_bytes;
    const int8_t *row0 = band->padding;
    const int8_t *row1 = row0;
    band->edge.step0 = 0;
    band->edge.step1 = 0;
    if (y < height) {
        row0 = band->start + y * row_bytes;
        band->edge.step0 = band->gather.step;
    }
    if (y1 < height) {
        row1 = band->start + y1 * row_bytes;
        band->edge.step1 = band->gather.step;
    }
    if (y >= height || y1 >= height) {
        smg_gather_edge(words, row0, row1, &band->edge);
        return 1;
    }
    uint32_t inside = height - y1;
    if (band->row_step != 1) {
        inside = smg_divide(inside - 1, band->row_step) + 1;
    }
    if (rows > inside) {
        rows = inside;
    }
    band->gather.rows = rows;
    smg_gather(words, row0, row1, &band->gather);
    return rows;
}

/* The rows of a block of a pointwise convolution lie without gaps, here and in the input: they are gathered as one row. Of an
 * odd number the one in the middle is in two pairs. */
static void fill_pointwise(struct smg_band *band, uint32_t pairs)
{
    const int8_t *row0 = band->start + band->next_y * band->row_bytes;
    band->apart = band->next_y + 2 * pairs > band->output_h ? pairs - 1 : pairs;
    band->gather.rows = 1;
    band->gather.span = pairs * band->row_bytes;
    band->gather.values = pairs * band->row_words;
    smg_gather(band->words, row0, row0 + band->apart * band->row_bytes, &band->gather);
    band->next_y += 2 * pairs;
    band->ready = pairs;
}

void smg_band_fill(struct smg_band *band, uint32_t pairs)
{
    if (band->pointwise) {
        fill_pointwise(band, pairs);
        return;
    }
    uint32_t needed = (pairs - 1) * band->period + band->taps_h;
    uint32_t left = needed - band->ready;
    uint32_t y = band->next_y;
    uint32_t *words = band->words + band->ready * band->row_words + band->left;
    uint32_t phase = band->phase;
    while (left != 0) {
        uint32_t count = left;
        if (phase != 0 && count > phase) {
            count = phase;
        }
        count = gather_rows(band, words, y, count);
        words += count * band->row_words;
        left -= count;
        y += count * band->row_step;
        if (phase != 0) {
            phase -= count;
            if (phase == 0) {
                phase = band->period;
                y += band->left_out;
            }
        }
    }
    band->phase = phase;
    band->next_y = y;
    band->ready = needed;
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
