/* Weights of an operator: sections 5 and 6 of docs/format.md.
 *
 * Scratch of an operator with Huffman coded weights begins with what decoding needs:
 *     512 bytes                   lookup of short codes: lengths, symbols
 *     4 bytes for each length     levels of longer codes
 * then follow the weights that are decoded at a time, if any.
 */
#include "internal.h"

uint32_t smg_weights_per_channel(const struct smg_operator_record *record, const struct smg_tensor_record *input,
                                 const struct smg_tensor_record *output)
{
    if (record->kind == SMG_FULLY_CONNECTED) {
        return smg_divide(smg_elements(input), smg_divide(smg_elements(output), output->dimensions[3]));
    }
    uint32_t taps = (uint32_t)record->parameters.window.kernel_h * record->parameters.window.kernel_w;
    return record->kind == SMG_CONV_2D ? smg_saturating_multiply(taps, input->dimensions[3]) : taps;
}

uint32_t smg_decoder_bytes(const struct smg_code_table *table)
{
    uint32_t levels = table->max_length > SMG_LOOKUP_BITS ? (uint32_t)table->max_length - SMG_LOOKUP_BITS : 0;
    return (uint32_t)(sizeof(struct smg_huffman_lookup) + levels * sizeof(struct smg_huffman_level));
}

void smg_weights_open(struct smg_weights *weights, const struct smg_step *step)
{
    const struct smg_operator_record *record = step->record;
    weights->step = step;
    weights->per_channel = smg_weights_per_channel(record, step->input, step->output);
    weights->free = step->scratch;
    if (record->weights_coding == SMG_HUFFMAN) {
        const struct smg_code_table *table = (const void *)(step->blob + record->code_table_offset);
        smg_decoder_open(&weights->decoder, step->scratch, table);
        weights->free += smg_decoder_bytes(table);
    }
    smg_weights_rewind(weights);
}

void smg_weights_rewind(struct smg_weights *weights)
{
    const struct smg_operator_record *record = weights->step->record;
    const uint8_t *start = weights->step->blob + record->weights_offset;
    weights->raw = NULL;
    if (record->weights_coding == SMG_HUFFMAN) {
        smg_decoder_start(&weights->decoder, start);
    } else {
        weights->raw = (const int8_t *)start;
    }
}

/* bytes: a multiple of 4. */
static void clear(int8_t *bytes, uint32_t count)
{
    uint32_t *words = (void *)bytes;
    for (uint32_t *end = words + count / 4; words != end;) {
        *words++ = 0;
    }
    for (uint32_t i = count & ~UINT32_C(3); i != count; ++i) {
        bytes[i] = 0;
    }
}

const int8_t *smg_weights_next(struct smg_weights *weights, uint32_t channels, int8_t *buffer)
{
    uint32_t count = channels * weights->per_channel;
    if (weights->raw != NULL) {
        const int8_t *next = weights->raw;
        weights->raw += count;
        return next;
    }
    uint32_t zero_runs = weights->step->record->zero_runs;
    uint32_t run = count; /* weights that are decoded at a time */
    if (zero_runs != 0) {
        clear(buffer, count);
        run = weights->per_channel;
    }
    for (uint32_t i = 0; i != count; i += run) {
        smg_decode(&weights->decoder, buffer + i, run, zero_runs);
    }
    return buffer;
}

void smg_tiles_open(struct smg_tiles *tiles, const struct smg_step *step)
{
    smg_weights_open(&tiles->from, step);
    tiles->first = 0;
    tiles->end = 0;
}

bool smg_tiles_next(struct smg_tiles *tiles)
{
    const struct smg_step *step = tiles->from.step;
    uint32_t channels = step->output->dimensions[3];
    tiles->first = tiles->end;
    if (tiles->first == channels) {
        return false;
    }
    uint32_t count = channels - tiles->first;
    if (tiles->from.raw == NULL && count > step->record->tile) {
        count = step->record->tile;
    }
    tiles->weights = smg_weights_next(&tiles->from, count, (int8_t *)tiles->from.free);
    tiles->end = tiles->first + count;
    return true;
}
