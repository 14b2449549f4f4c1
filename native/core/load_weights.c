/* Checks the weights and the requantisation data of an operator whose shapes are right. */
#include "band.h"
#include "load.h"

static const void *data(const struct smg_loader *loader, uint32_t offset)
{
    return loader->model->blob + offset;
}

/* Accounts for data whose check takes time and that operators could share. */
static int spend(struct smg_loader *loader, uint32_t bytes)
{
    if (bytes > loader->work_left) {
        return smg_refuse(loader, SMG_TOO_MUCH_WORK, 0, 0);
    }
    loader->work_left -= bytes;
    return SMG_OK;
}

static int check_huffman(struct smg_loader *loader, uint32_t channels, uint32_t per_channel)
{
    const struct smg_operator_record *record = loader->record;
    uint32_t stream_bytes = (record->weights_bits / 16 + (record->weights_bits % 16 != 0)) * 2;
    int status = smg_check_range(loader, record->weights_offset, stream_bytes + SMG_READ_AHEAD, 2);
    if (status == SMG_OK) {
        status = smg_check_range(loader, record->code_table_offset, sizeof(struct smg_code_table), 4);
    }
    if (status != SMG_OK) {
        return status;
    }
    const struct smg_code_table *table = data(loader, record->code_table_offset);
    status = smg_check_range(loader, record->code_table_offset, smg_code_table_bytes(table), 4);
    if (status != SMG_OK) {
        return status;
    }
    status = smg_code_table_check(table);
    if (status != SMG_OK) {
        return smg_refuse(loader, status, 0, 0);
    }
    if (record->zero_runs > SMG_MAX_ZERO_RUNS) {
        return smg_refuse(loader, SMG_BAD_CODING, record->zero_runs, SMG_MAX_ZERO_RUNS);
    }
    status = spend(loader, stream_bytes);
    if (status != SMG_OK) {
        return status;
    }
    if (!smg_huffman_stream_is_exact(record, loader->model->blob, channels, per_channel)) {
        return smg_refuse(loader, SMG_BAD_STREAM, 0, 0);
    }
    return SMG_OK;
}

static int check_raw(const struct smg_loader *loader, uint32_t count)
{
    const struct smg_operator_record *record = loader->record;
    if (record->weights_bits % 8 != 0 || record->weights_bits / 8 != count) {
        return smg_refuse(loader, SMG_BAD_WEIGHTS_BITS, record->weights_bits, smg_saturating_multiply(count, 8));
    }
    int status = smg_check_zero(loader, record->code_table_offset);
    return status == SMG_OK ? smg_check_range(loader, record->weights_offset, count, 1) : status;
}

/* Bytes of scratch that kernel 1 needs for the band and the weights it decodes at a time: section 6 of the format. */
static uint32_t gathered_bytes(const struct smg_loader *loader, uint32_t weights_per_channel)
{
    bool conv = loader->record->kind == SMG_CONV_2D;
    struct smg_step step;
    struct smg_band band;
    step.record = loader->record;
    step.input = loader->input;
    step.output = loader->output;
    smg_band_open(&band, &step, conv ? loader->input->dimensions[3] : 1);
    uint32_t bytes = smg_band_bytes(&band);
    if (loader->record->weights_coding == SMG_HUFFMAN) {
        uint32_t decoded = smg_saturating_multiply(weights_per_channel, conv ? 2 : 1);
        bytes = smg_saturating_add(bytes, smg_saturating_add(decoded, 3) & ~UINT32_C(3));
    }
    return bytes;
}

static bool overlaps(const struct smg_loader *loader, const struct smg_tensor_record *tensor, uint32_t scratch_end)
{
    if (tensor->flags & SMG_CONSTANT) {
        return false;
    }
    return loader->record->scratch_offset < tensor->offset + smg_elements(tensor) && tensor->offset < scratch_end;
}

/* The operators that need scratch have one input. */
static int check_place(struct smg_loader *loader, uint32_t scratch)
{
    uint32_t offset = loader->record->scratch_offset;
    uint32_t arena_bytes = smg_header(loader->model)->arena_bytes;
    if (scratch == 0) {
        return smg_check_zero(loader, offset);
    }
    if (offset % 4 != 0) {
        return smg_refuse(loader, SMG_BAD_OFFSET, offset, offset & ~UINT32_C(3));
    }
    if (offset > arena_bytes || scratch > arena_bytes - offset) {
        return smg_refuse(loader, SMG_OUTSIDE_ARENA, smg_saturating_add(offset, scratch), arena_bytes);
    }
    if (overlaps(loader, loader->input, offset + scratch) || overlaps(loader, loader->output, offset + scratch)) {
        return smg_refuse(loader, SMG_SCRATCH_OVERLAPS, 0, 0);
    }
    if (scratch > loader->scratch_bytes) {
        loader->scratch_bytes = scratch;
    }
    return SMG_OK;
}

static int check_scratch(struct smg_loader *loader, uint32_t weights_per_channel)
{
    const struct smg_operator_record *record = loader->record;
    uint32_t scratch = 0;
    if (record->weights_coding == SMG_HUFFMAN) {
        scratch = smg_decoder_bytes(data(loader, record->code_table_offset));
    }
    if (smg_is_pairs(record)) {
        uint32_t needed = gathered_bytes(loader, weights_per_channel);
        if (needed > 4u * record->workspace) {
            return smg_refuse(loader, SMG_BAD_WORKSPACE, 4u * record->workspace, needed);
        }
        scratch += 4u * record->workspace;
    } else if (record->kernel == 0 && record->weights_coding == SMG_HUFFMAN) {
        scratch = smg_saturating_add(scratch, smg_saturating_multiply(record->tile, weights_per_channel));
    }
    if (scratch >= SMG_MEMORY_LIMIT) {
        return smg_refuse(loader, SMG_TOO_LARGE, scratch, SMG_MEMORY_LIMIT - 1);
    }
    return check_place(loader, scratch);
}

int smg_check_weights(struct smg_loader *loader)
{
    const struct smg_operator_record *record = loader->record;
    uint32_t coding = record->weights_coding;
    if (loader->rules->traits & SMG_HAS_WEIGHTS) {
        uint32_t channels = loader->output->dimensions[3];
        bool streamed = smg_is_streamed(record);
        uint32_t largest_tile = smg_is_pairs(record) ? UINT16_MAX : streamed ? 1 : channels;
        if (record->tile < 1 || record->tile > largest_tile) {
            return smg_refuse(loader, SMG_BAD_TILE, record->tile, largest_tile);
        }
        if (streamed && smg_elements(loader->output) != channels) {
            return smg_refuse(loader, SMG_BAD_SIZE, smg_elements(loader->output), channels);
        }
        uint32_t weights_per_channel = smg_weights_per_channel(record, loader->input, loader->output);
        uint32_t count = smg_saturating_multiply(weights_per_channel, channels);
        if (coding != SMG_HUFFMAN && (coding != SMG_RAW || streamed)) {
            return smg_refuse(loader, SMG_BAD_CODING, coding, SMG_HUFFMAN);
        }
        int status = coding == SMG_HUFFMAN ? check_huffman(loader, channels, weights_per_channel)
                                           : check_raw(loader, count);
        return status == SMG_OK ? check_scratch(loader, weights_per_channel) : status;
    }
    int status = smg_check_zero(loader, record->tile | record->scratch_offset);
    if (status != SMG_OK) {
        return status;
    }
    uint32_t expected = record->kind == SMG_LOOKUP ? SMG_RAW : SMG_NO_WEIGHTS;
    if (coding != expected) {
        return smg_refuse(loader, SMG_BAD_CODING, coding, expected);
    }
    return coding == SMG_RAW ? check_raw(loader, 256)
                             : smg_check_zero(loader, record->weights_offset | record->weights_bits |
                                                                   record->code_table_offset);
}

static int check_shift(const struct smg_loader *loader, int32_t shift, int32_t lowest, int32_t highest)
{
    if (shift < lowest || shift > highest) {
        return smg_refuse_signed(loader, SMG_BAD_SHIFT, shift, shift < lowest ? lowest : highest);
    }
    return SMG_OK;
}

static int check_scaling(const struct smg_loader *loader, int32_t multiplier, int32_t shift, int32_t lowest,
                         int32_t highest)
{
    if (multiplier < 0) {
        return smg_refuse(loader, SMG_BAD_MULTIPLIER, (uint32_t)multiplier, INT32_MAX);
    }
    return check_shift(loader, shift, lowest, highest);
}

/* Whatever the bits of an entry are, its numbers are in range. */
static int check_numbers(const struct smg_loader *loader, const struct smg_channel_numbers *numbers)
{
    if (numbers->bias_bits > 32) {
        return smg_refuse(loader, SMG_BAD_ENTRY, numbers->bias_bits, 32);
    }
    if (numbers->multiplier_bits > 30) {
        return smg_refuse(loader, SMG_BAD_ENTRY, numbers->multiplier_bits, 30);
    }
    if (numbers->shift_bits > 6) {
        return smg_refuse(loader, SMG_BAD_ENTRY, numbers->shift_bits, 6);
    }
    /* Less 2^30 - 2^(30 - bits): what is added where all bits of the field are one. */
    uint32_t largest = (UINT32_C(1) << 30) - 1 + (UINT32_C(1) << (30 - numbers->multiplier_bits));
    if (numbers->multiplier > largest) {
        return smg_refuse(loader, SMG_BAD_MULTIPLIER, numbers->multiplier, largest);
    }
    return check_shift(loader, numbers->shift, -32, 32 - (INT32_C(1) << numbers->shift_bits));
}

static int check_channels(const struct smg_loader *loader)
{
    uint32_t offset = loader->record->requantization_offset;
    int status = smg_check_range(loader, offset, sizeof(struct smg_channel_numbers), 4);
    if (status != SMG_OK) {
        return status;
    }
    const struct smg_channel_numbers *numbers = data(loader, offset);
    status = check_numbers(loader, numbers);
    if (status != SMG_OK) {
        return status;
    }
    uint32_t bits = (uint32_t)numbers->bias_bits + numbers->multiplier_bits + numbers->shift_bits;
    bits *= loader->output->dimensions[3];
    uint32_t words = (bits + 31) / 32;
    status = smg_check_range(loader, offset, sizeof(*numbers) + 4 * words, 4);
    if (status == SMG_OK && bits % 32 != 0) {
        status = smg_check_zero(loader, numbers->entries[words - 1] >> bits % 32);
    }
    return status;
}

int smg_check_requantization(const struct smg_loader *loader)
{
    const struct smg_operator_record *record = loader->record;
    if (loader->rules->traits & SMG_HAS_WEIGHTS) {
        return check_channels(loader);
    }
    bool linear = record->kind == SMG_ADD && record->kernel != 0;
    uint32_t words = linear ? 4 : loader->rules->requantization_words;
    if (words == 0) {
        return smg_check_zero(loader, record->requantization_offset);
    }
    int status = smg_check_range(loader, record->requantization_offset, words * 4, 4);
    if (status != SMG_OK) {
        return status;
    }
    if (record->kind == SMG_SOFTMAX) {
        const struct smg_softmax *softmax = data(loader, record->requantization_offset);
        if (softmax->minimum > 0) {
            return smg_refuse(loader, SMG_BAD_MULTIPLIER, (uint32_t)softmax->minimum, 0);
        }
        return check_scaling(loader, softmax->scaling.multiplier, softmax->scaling.shift, 0, 31);
    }
    if (linear) {
        const struct smg_linear_add *add = data(loader, record->requantization_offset);
        return check_scaling(loader, 0, add->exponent, 0, 31);
    }
    const struct smg_scaling *scaling = data(loader, record->requantization_offset);
    for (uint32_t i = 0; status == SMG_OK && i < words / 2; ++i) {
        status = check_scaling(loader, scaling[i].multiplier, scaling[i].shift, -31, record->kind == SMG_ADD ? 0 : 30);
    }
    return status;
}
