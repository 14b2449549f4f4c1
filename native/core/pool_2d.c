/* AVERAGE_POOL_2D and MAX_POOL_2D over the taps inside the input, channel by channel.
 * The checks at load guarantee that every window has at least one tap inside. */
#include "internal.h"

static int8_t clamp(const struct smg_step *step, int32_t value)
{
    const struct smg_operator_record *record = step->record;
    if (value < record->activation_min) {
        return record->activation_min;
    }
    return value > record->activation_max ? record->activation_max : (int8_t)value;
}

/* first: the channel's element at the window's first tap inside */
static int32_t average(const int8_t *first, uint32_t rows, uint32_t columns, uint32_t row_stride, uint32_t stride)
{
    int32_t sum = 0;
    uint32_t count = rows * columns;
    for (uint32_t i = 0; i < rows; ++i) {
        sum += smg_sum(first + i * row_stride, columns, stride);
    }
    uint32_t magnitude = smg_divide((uint32_t)(sum < 0 ? -sum : sum) + count / 2, count);
    return sum < 0 ? -(int32_t)magnitude : (int32_t)magnitude;
}

static int32_t maximum(const int8_t *first, uint32_t rows, uint32_t columns, uint32_t row_stride, uint32_t stride)
{
    int32_t largest = INT8_MIN;
    for (uint32_t i = 0; i < rows; ++i) {
        uint32_t tap = i * row_stride;
        uint32_t left = columns;
        do {
            int32_t value = first[tap];
            largest = value > largest ? value : largest;
            tap += stride;
        } while (--left != 0);
    }
    return largest;
}

static void pool(const struct smg_step *step, int32_t (*reduce)(const int8_t *first, uint32_t rows, uint32_t columns,
                                                                uint32_t row_stride, uint32_t stride))
{
    const struct smg_window *window = &step->record->parameters.window;
    const uint16_t *input = step->input->dimensions;
    const uint16_t *output = step->output->dimensions;
    uint32_t channels = output[3];
    uint32_t row_stride = input[2] * channels;
    int8_t *element = step->output_data;
    for (uint32_t r = 0; r < output[1]; ++r) {
        struct smg_taps rows = smg_window_taps(r, window->stride_h, window->pad_top, window->kernel_h, 1, input[1]);
        for (uint32_t s = 0; s < output[2]; ++s) {
            struct smg_taps columns =
                smg_window_taps(s, window->stride_w, window->pad_left, window->kernel_w, 1, input[2]);
            uint32_t y = (uint32_t)rows.origin + rows.first;
            uint32_t x = (uint32_t)columns.origin + columns.first;
            const int8_t *first = step->input_data + y * row_stride + x * channels;
            uint32_t height = rows.end - rows.first;
            uint32_t width = columns.end - columns.first;
            if (width == input[2]) { /* whole rows are one row */
                width *= height;
                height = 1;
            }
            for (uint32_t c = 0; c < channels; ++c) {
                *element++ = clamp(step, reduce(first + c, height, width, row_stride, channels));
            }
        }
    }
}

void smg_average_pool_2d(const struct smg_step *step)
{
    pool(step, average);
}

void smg_max_pool_2d(const struct smg_step *step)
{
    pool(step, maximum);
}
