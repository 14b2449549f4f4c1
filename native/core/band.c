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
    band->row_words = width * channels;
    band->left = window->pad_left * channels;
    band->pixels = inside < band->input_w ? inside : band->input_w;
    band->row_bytes = band->input_w * input[3];
    uint32_t taps_h = (window->kernel_h - 1u) * window->dilation_h + 1;
    uint32_t period = 2 * (uint32_t)window->stride_h;
    band->period = taps_h < period ? taps_h : period;
}

static uint32_t rows(const struct smg_band *band, uint32_t pairs)
{
    const struct smg_window *window = &band->step->record->parameters.window;
    return (pairs - 1) * band->period + (window->kernel_h - 1u) * window->dilation_h + 1;
}

uint32_t smg_band_bytes(const struct smg_band *band)
{
    return 4 * band->row_words * rows(band, band->tile);
}

void smg_band_place(struct smg_band *band, void *memory)
{
    int32_t zero_point = band->step->input->zero_point;
    uint32_t count = smg_band_bytes(band) / 4;
    band->words = memory;
    for (uint32_t i = 0; i < count; ++i) { /* what is padding in one row is padding in all of them */
        band->words[i] = smg_pair(zero_point, zero_point);
    }
}

void smg_band_rewind(struct smg_band *band, uint32_t channel)
{
    band->channel = channel;
    band->ready = 0;
    band->phase = 0;
    band->next_y = 0u - band->step->record->parameters.window.pad_top;
}

/* Pixels of two rows, side by side. Apart from the rest, so that all it needs is in registers. */
static __attribute__((noinline)) void gather_all(uint32_t *words, const int8_t *row0, const int8_t *row1,
                                                 uint32_t count)
{
    for (uint32_t i = 0; i < count; ++i) {
        words[i] = smg_pair(row0[i], row1[i]);
    }
}

/* The same with any distance between the values of a row, 0 for one value over and over. */
static __attribute__((noinline)) void gather_steps(uint32_t *words, const int8_t *row0, const int8_t *row1,
                                                   uint32_t count, uint32_t step0, uint32_t step1)
{
    for (uint32_t *end = words + count; words < end; ++words) {
        *words = smg_pair(*row0, *row1);
        row0 += step0;
        row1 += step1;
    }
}

static void gather_row(const struct smg_band *band, uint32_t *words, uint32_t y)
{
    const struct smg_step *step = band->step;
    uint32_t y1 = y + step->record->parameters.window.stride_h;
    uint32_t count = band->pixels * band->channels;
    const int8_t *start = step->input_data + band->channel;
    const int8_t *row0 = start + y * band->row_bytes;
    const int8_t *row1 = start + y1 * band->row_bytes;
    if (y < band->input_h && y1 < band->input_h && band->channels != 1) {
        gather_all(words, row0, row1, count);
        return;
    }
    uint32_t distance = band->channels == 1 ? step->input->dimensions[3] : 1;
    uint32_t step0 = y < band->input_h ? distance : 0;
    uint32_t step1 = y1 < band->input_h ? distance : 0;
    const int8_t *padding = &step->input->zero_point;
    gather_steps(words, step0 != 0 ? row0 : padding, step1 != 0 ? row1 : padding, count, step0, step1);
}

void smg_band_fill(struct smg_band *band, uint32_t pairs)
{
    uint32_t left_out = 2 * band->step->record->parameters.window.stride_h - band->period;
    for (uint32_t needed = rows(band, pairs); band->ready < needed; ++band->ready) {
        gather_row(band, band->words + band->ready * band->row_words + band->left, band->next_y++);
        if (++band->phase == band->period) {
            band->phase = 0;
            band->next_y += left_out;
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
    if (band->output_w == 1) { /* a column: all pairs of a block follow each other */
        dot->pair_words = band->period * band->row_words;
        dot->output_step *= 2;
    }
}

void smg_band_run(const struct smg_band *band, const struct smg_dot *dot, const void *code, uint32_t r, uint32_t pairs)
{
    uint32_t channels = band->step->output->dimensions[3];
    uint32_t row_bytes = band->output_w * channels;
    uint32_t whole = r + 2 * pairs > band->output_h ? pairs - 1 : pairs; /* the last row may be alone */
    struct smg_pairs run;
    run.words = band->words;
    run.outputs = band->step->output_data + r * row_bytes + dot->channel;
    run.distance = row_bytes;
    run.row_words = band->period * band->row_words;
    run.output_row_step = 2 * row_bytes;
    run.count = band->output_w;
    run.rows = whole;
    if (band->output_w == 1) {
        run.count = whole;
        run.rows = 1;
    }
    if (whole != 0) {
        smg_dot_run(dot, code, &run);
    }
    if (whole != pairs) {
        run.words += whole * run.row_words;
        run.outputs += whole * run.output_row_step;
        run.count = band->output_w;
        run.rows = 1;
        run.distance = 0;
        smg_dot_run(dot, code, &run);
    }
}
