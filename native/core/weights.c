/* Weights of an operator, tile by tile: sections 5 and 6 of docs/format.md.
 *
 * Scratch of an operator with Huffman coded weights:
 *     64 bytes            decoding levels
 *     align4(used)        symbols, ordered by code
 *     the rest            the weights of tile_channels output channels
 */
#include "internal.h"

#define LEVEL_BYTES ((uint32_t)sizeof(struct smg_huffman_level) * SMG_HUFFMAN_LEVELS)

uint64_t smg_weights_per_channel(const struct smg_operator_record *record, const struct smg_tensor_record *input,
                                 const struct smg_tensor_record *output)
{
    if (record->kind == SMG_FULLY_CONNECTED) {
        return smg_elements(input) / (smg_elements(output) / output->dimensions[3]);
    }
    uint32_t taps = (uint32_t)record->parameters.window.kernel_h * record->parameters.window.kernel_w;
    return record->kind == SMG_CONV_2D ? (uint64_t)taps * input->dimensions[3] : taps;
}

uint64_t smg_huffman_scratch_bytes(const struct smg_code_table *table, uint32_t tile_channels,
                                   uint64_t weights_per_channel)
{
    return LEVEL_BYTES + smg_align4(smg_code_table_used(table)) + tile_channels * weights_per_channel;
}

void smg_tiles_open(struct smg_tiles *tiles, const struct smg_step *step)
{
    const struct smg_operator_record *record = step->record;
    tiles->step = step;
    tiles->weights_per_channel = (uint32_t)smg_weights_per_channel(record, step->input, step->output);
    tiles->first = 0;
    tiles->end = 0;
    if (record->weights_coding != SMG_HUFFMAN) {
        return;
    }
    const struct smg_code_table *table = (const void *)(step->blob + record->code_table_offset);
    struct smg_huffman_level *levels = (void *)step->scratch;
    int8_t *symbols = (int8_t *)step->scratch + LEVEL_BYTES;
    smg_huffman_build(levels, symbols, table);
    smg_bits_open(&tiles->reader, step->blob + record->weights_offset, record->weights_bits);
    tiles->levels = levels;
    tiles->symbols = symbols;
    tiles->decoded = symbols + smg_align4(smg_code_table_used(table));
}

bool smg_tiles_next(struct smg_tiles *tiles)
{
    const struct smg_operator_record *record = tiles->step->record;
    uint32_t channels = tiles->step->output->dimensions[3];
    tiles->first = tiles->end;
    if (tiles->first == channels) {
        return false;
    }
    if (record->weights_coding != SMG_HUFFMAN) {
        tiles->weights = (const int8_t *)tiles->step->blob + record->weights_offset;
        tiles->end = channels;
        return true;
    }
    uint32_t left = channels - tiles->first;
    uint32_t count = left < record->tile_channels ? left : record->tile_channels;
    smg_huffman_decode(&tiles->reader, tiles->levels, tiles->symbols, tiles->decoded,
                       count * tiles->weights_per_channel);
    tiles->weights = tiles->decoded;
    tiles->end = tiles->first + count;
    return true;
}
