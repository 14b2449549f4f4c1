/* Checks the weights and the requantisation data of an operator whose shapes are right. */
#include "load.h"

static int refuse(const struct smg_subject *subject, int status, uint64_t found, uint64_t expected)
{
    return smg_refuse(subject->loader, status, found, expected);
}

static const void *data(const struct smg_subject *subject, uint32_t offset)
{
    return subject->loader->model->blob + offset;
}

/* Accounts for data whose check takes time and that operators could share. */
static int spend(const struct smg_subject *subject, uint64_t bytes)
{
    if (bytes > subject->loader->work_left) {
        return refuse(subject, SMG_TOO_MUCH_WORK, 0, 0);
    }
    subject->loader->work_left -= bytes;
    return SMG_OK;
}

static int check_huffman(const struct smg_subject *subject, uint64_t count)
{
    struct smg_loader *loader = subject->loader;
    const struct smg_operator_record *record = subject->record;
    uint64_t stream_bytes = ((uint64_t)record->weights_bits + 15) / 16 * 2;
    int status = smg_check_range(loader, record->weights_offset, stream_bytes + SMG_READ_AHEAD, 2);
    if (status == SMG_OK) {
        status = smg_check_range(loader, record->code_table_offset, sizeof(struct smg_code_table), 4);
    }
    if (status != SMG_OK) {
        return status;
    }
    const struct smg_code_table *table = data(subject, record->code_table_offset);
    status = smg_check_range(loader, record->code_table_offset, smg_code_table_bytes(table), 4);
    if (status != SMG_OK) {
        return status;
    }
    status = smg_code_table_check(table);
    if (status != SMG_OK) {
        return refuse(subject, status, 0, 0);
    }
    if (count > record->weights_bits) { /* every code has at least one bit */
        return refuse(subject, SMG_BAD_STREAM, record->weights_bits, 0);
    }
    status = spend(subject, stream_bytes);
    if (status != SMG_OK) {
        return status;
    }
    if (!smg_huffman_stream_is_exact(table, data(subject, record->weights_offset), record->weights_bits,
                                     (uint32_t)count)) {
        return refuse(subject, SMG_BAD_STREAM, 0, 0);
    }
    return SMG_OK;
}

static int check_raw(const struct smg_subject *subject, uint64_t count)
{
    const struct smg_operator_record *record = subject->record;
    if (record->weights_bits % 8 != 0 || record->weights_bits / 8 != count) {
        return refuse(subject, SMG_BAD_WEIGHTS_BITS, record->weights_bits, count > UINT32_MAX ? UINT32_MAX : count * 8);
    }
    int status = smg_check_zero(subject->loader, record->code_table_offset);
    return status == SMG_OK ? smg_check_range(subject->loader, record->weights_offset, count, 1) : status;
}

/* Bytes of scratch that kernel 1 needs for the band (band.h) and the weights it decodes at a time: section 6. Exact, or
 * larger than any workspace. */
static uint64_t gathered_bytes(const struct smg_subject *subject, uint64_t weights_per_channel)
{
    const struct smg_operator_record *record = subject->record;
    const struct smg_window *window = &record->parameters.window;
    bool conv = record->kind == SMG_CONV_2D;
    bool pointwise =
        window->kernel_h == 1 && window->kernel_w == 1 && window->stride_h == 1 && window->stride_w == 1;
    uint64_t pixels = pointwise ? 1 : (subject->output->dimensions[2] - UINT64_C(1)) * window->stride_w + window->kernel_w;
    uint64_t row_words = pixels * (conv ? subject->input->dimensions[3] : 1);
    uint64_t taps_h = (window->kernel_h - UINT64_C(1)) * window->dilation_h + 1;
    uint64_t output_h = subject->output->dimensions[1] * (pointwise ? (uint64_t)subject->output->dimensions[2] : 1);
    uint64_t period = (record->tile >= (output_h + 1) / 2 ? 1 : 2) * (uint64_t)window->stride_h;
    uint64_t rows = (record->tile - UINT64_C(1)) * (taps_h < period ? taps_h : period) + taps_h;
    uint64_t decoded = record->weights_coding == SMG_HUFFMAN ? (conv ? 2 : 1) * weights_per_channel : 0;
    if (row_words > UINT16_MAX) {
        return row_words * 4;
    }
    return ((decoded + 3) & ~UINT64_C(3)) + 4 * row_words * rows;
}

static bool overlaps(const struct smg_subject *subject, const struct smg_tensor_record *tensor, uint32_t scratch_end)
{
    if (tensor->flags & SMG_CONSTANT) {
        return false;
    }
    return subject->record->scratch_offset < tensor->offset + smg_elements(tensor) && tensor->offset < scratch_end;
}

/* The operators that need scratch have one input. */
static int check_place(const struct smg_subject *subject, uint32_t scratch)
{
    struct smg_loader *loader = subject->loader;
    uint32_t offset = subject->record->scratch_offset;
    uint32_t arena_bytes = smg_header(loader->model)->arena_bytes;
    if (scratch == 0) {
        return smg_check_zero(loader, offset);
    }
    if (offset % 4 != 0) {
        return refuse(subject, SMG_BAD_OFFSET, offset, offset & ~UINT32_C(3));
    }
    if (offset > arena_bytes || scratch > arena_bytes - offset) {
        return refuse(subject, SMG_OUTSIDE_ARENA, (uint64_t)offset + scratch, arena_bytes);
    }
    if (overlaps(subject, subject->input, offset + scratch) || overlaps(subject, subject->output, offset + scratch)) {
        return refuse(subject, SMG_SCRATCH_OVERLAPS, 0, 0);
    }
    if (scratch > loader->scratch_bytes) {
        loader->scratch_bytes = scratch;
    }
    return SMG_OK;
}

static int check_scratch(const struct smg_subject *subject, uint64_t weights_per_channel)
{
    const struct smg_operator_record *record = subject->record;
    uint64_t scratch = 0;
    if (record->weights_coding == SMG_HUFFMAN) {
        scratch = smg_decoder_bytes(data(subject, record->code_table_offset));
    }
    if (smg_is_pairs(record)) {
        uint64_t needed = gathered_bytes(subject, weights_per_channel);
        if (needed > 4 * (uint64_t)record->workspace) {
            return refuse(subject, SMG_BAD_WORKSPACE, 4 * (uint64_t)record->workspace, needed);
        }
        scratch += 4 * (uint64_t)record->workspace;
    } else if (record->kernel == 0 && record->weights_coding == SMG_HUFFMAN) {
        scratch += record->tile * weights_per_channel;
    }
    if (scratch >= SMG_MEMORY_LIMIT) {
        return refuse(subject, SMG_TOO_LARGE, scratch, SMG_MEMORY_LIMIT - 1);
    }
    return check_place(subject, (uint32_t)scratch);
}

int smg_check_weights(const struct smg_subject *subject)
{
    const struct smg_operator_record *record = subject->record;
    uint32_t coding = record->weights_coding;
    if (subject->rules->traits & SMG_HAS_WEIGHTS) {
        uint32_t channels = subject->output->dimensions[3];
        bool streamed = smg_is_streamed(record);
        uint32_t largest_tile = smg_is_pairs(record) ? UINT16_MAX : streamed ? 1 : channels;
        if (record->tile < 1 || record->tile > largest_tile) {
            return refuse(subject, SMG_BAD_TILE, record->tile, largest_tile);
        }
        if (streamed && smg_elements(subject->output) != channels) {
            return refuse(subject, SMG_BAD_SIZE, smg_elements(subject->output), channels);
        }
        uint64_t weights_per_channel = smg_weights_per_channel(record, subject->input, subject->output);
        uint64_t count = weights_per_channel * channels; /* below 2^64: a product of four u16, or less */
        if (coding != SMG_HUFFMAN && (coding != SMG_RAW || streamed)) {
            return refuse(subject, SMG_BAD_CODING, coding, SMG_HUFFMAN);
        }
        int status = coding == SMG_HUFFMAN ? check_huffman(subject, count) : check_raw(subject, count);
        return status == SMG_OK ? check_scratch(subject, weights_per_channel) : status;
    }
    int status = smg_check_zero(subject->loader, record->tile | record->scratch_offset);
    if (status != SMG_OK) {
        return status;
    }
    uint32_t expected = record->kind == SMG_LOOKUP ? SMG_RAW : SMG_NO_WEIGHTS;
    if (coding != expected) {
        return refuse(subject, SMG_BAD_CODING, coding, expected);
    }
    return coding == SMG_RAW ? check_raw(subject, 256)
                             : smg_check_zero(subject->loader, record->weights_offset | record->weights_bits |
                                                                   record->code_table_offset);
}

static int check_shift(const struct smg_subject *subject, int32_t shift, int32_t lowest, int32_t highest)
{
    if (shift < lowest || shift > highest) {
        return smg_refuse_signed(subject->loader, SMG_BAD_SHIFT, shift, shift < lowest ? lowest : highest);
    }
    return SMG_OK;
}

static int check_scaling(const struct smg_subject *subject, int32_t multiplier, int32_t shift, int32_t lowest,
                         int32_t highest)
{
    if (multiplier < 0) {
        return refuse(subject, SMG_BAD_MULTIPLIER, (uint32_t)multiplier, INT32_MAX);
    }
    return check_shift(subject, shift, lowest, highest);
}

/* Whatever the bits of an entry are, its numbers are in range. */
static int check_numbers(const struct smg_subject *subject, const struct smg_channel_numbers *numbers)
{
    if (numbers->bias_bits > 32) {
        return refuse(subject, SMG_BAD_ENTRY, numbers->bias_bits, 32);
    }
    if (numbers->multiplier_bits > 30) {
        return refuse(subject, SMG_BAD_ENTRY, numbers->multiplier_bits, 30);
    }
    if (numbers->shift_bits > 6) {
        return refuse(subject, SMG_BAD_ENTRY, numbers->shift_bits, 6);
    }
    /* Less 2^30 - 2^(30 - bits): what is added where all bits of the field are one. */
    uint32_t largest = (UINT32_C(1) << 30) - 1 + (UINT32_C(1) << (30 - numbers->multiplier_bits));
    if (numbers->multiplier > largest) {
        return refuse(subject, SMG_BAD_MULTIPLIER, numbers->multiplier, largest);
    }
    return check_shift(subject, numbers->shift, -32, 32 - (INT32_C(1) << numbers->shift_bits));
}

static int check_channels(const struct smg_subject *subject)
{
    const struct smg_loader *loader = subject->loader;
    uint32_t offset = subject->record->requantization_offset;
    int status = smg_check_range(loader, offset, sizeof(struct smg_channel_numbers), 4);
    if (status != SMG_OK) {
        return status;
    }
    const struct smg_channel_numbers *numbers = data(subject, offset);
    status = check_numbers(subject, numbers);
    if (status != SMG_OK) {
        return status;
    }
    uint32_t bits = (uint32_t)numbers->bias_bits + numbers->multiplier_bits + numbers->shift_bits;
    bits *= subject->output->dimensions[3];
    uint32_t words = (bits + 31) / 32;
    status = smg_check_range(loader, offset, sizeof(*numbers) + 4 * words, 4);
    if (status == SMG_OK && bits % 32 != 0) {
        status = smg_check_zero(loader, numbers->entries[words - 1] >> bits % 32);
    }
    return status;
}

int smg_check_requantization(const struct smg_subject *subject)
{
    const struct smg_operator_record *record = subject->record;
    if (subject->rules->traits & SMG_HAS_WEIGHTS) {
        return check_channels(subject);
    }
    bool linear = record->kind == SMG_ADD && record->kernel != 0;
    uint32_t words = linear ? 4 : subject->rules->requantization_words;
    if (words == 0) {
        return smg_check_zero(subject->loader, record->requantization_offset);
    }
    int status = smg_check_range(subject->loader, record->requantization_offset, words * 4, 4);
    if (status != SMG_OK) {
        return status;
    }
    if (record->kind == SMG_SOFTMAX) {
        const struct smg_softmax *softmax = data(subject, record->requantization_offset);
        if (softmax->minimum > 0) {
            return refuse(subject, SMG_BAD_MULTIPLIER, (uint32_t)softmax->minimum, 0);
        }
        return check_scaling(subject, softmax->scaling.multiplier, softmax->scaling.shift, 0, 31);
    }
    if (linear) {
        const struct smg_linear_add *add = data(subject, record->requantization_offset);
        return check_scaling(subject, 0, add->exponent, 0, 31);
    }
    const struct smg_scaling *scaling = data(subject, record->requantization_offset);
    for (uint32_t i = 0; status == SMG_OK && i < words / 2; ++i) {
        status = check_scaling(subject, scaling[i].multiplier, scaling[i].shift, -31, record->kind == SMG_ADD ? 0 : 30);
    }
    return status;
}
