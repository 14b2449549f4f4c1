/* Canonical, length-limited Huffman codes over int8: section 5 of docs/format.md. */
#include "internal.h"

typedef char smg_assert_levels[sizeof(struct smg_huffman_level) * SMG_HUFFMAN_LEVELS == 64 ? 1 : -1];

static uint32_t code_length(const struct smg_code_table *table, uint32_t symbol)
{
    uint32_t pair = table->lengths[symbol / 2];
    return pair >> (symbol % 2 * 4) & 15;
}

int smg_code_table_check(const struct smg_code_table *table)
{
    uint32_t count = table->symbol_count;
    if (count < 1 || count > 256 || table->first_symbol + (int32_t)count - 1 > INT8_MAX) {
        return SMG_BAD_CODE_TABLE;
    }
    uint32_t longest = 0;
    uint32_t covered = 0; /* of the 2^15 codes of 15 bits */
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t length = code_length(table, i);
        longest = length > longest ? length : longest;
        covered += length == 0 ? 0 : UINT32_C(1) << (SMG_MAX_CODE_LENGTH - length);
    }
    if (longest != table->max_length) { /* which also keeps max_length within 4 bits */
        return SMG_BAD_CODE_TABLE;
    }
    if (count % 2 != 0 && table->lengths[count / 2] >> 4 != 0) {
        return SMG_NOT_ZERO;
    }
    return covered == UINT32_C(1) << SMG_MAX_CODE_LENGTH ? SMG_OK : SMG_INCOMPLETE_CODE;
}

uint32_t smg_code_table_used(const struct smg_code_table *table)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < table->symbol_count; ++i) {
        used += code_length(table, i) != 0;
    }
    return used;
}

void smg_huffman_build(struct smg_huffman_level *levels, int8_t *symbols, const struct smg_code_table *table)
{
    for (uint32_t length = 0; length < SMG_HUFFMAN_LEVELS; ++length) {
        levels[length].limit = 0;
    }
    for (uint32_t i = 0; i < table->symbol_count; ++i) {
        ++levels[code_length(table, i)].limit; /* for now how many codes there are of each length */
    }
    levels[0].limit = 0;
    levels[0].base = 0;
    uint32_t limit = 0;
    uint32_t base = 0;
    for (uint32_t length = 1; length < SMG_HUFFMAN_LEVELS; ++length) {
        uint32_t count = levels[length].limit;
        uint32_t place = base;
        for (uint32_t i = 0; symbols != NULL && place < base + count; ++i) {
            if (code_length(table, i) == length) {
                symbols[place++] = (int8_t)(table->first_symbol + (int32_t)i);
            }
        }
        levels[length].base = (uint16_t)base;
        base += count;
        limit += count << (SMG_MAX_CODE_LENGTH - length);
        levels[length].limit = (uint16_t)limit;
    }
}

void smg_bits_open(struct smg_bit_reader *reader, const void *stream, uint32_t weights_bits)
{
    reader->next = stream;
    reader->end = reader->next + weights_bits / 16 + (weights_bits % 16 != 0);
    reader->window = 0;
    reader->available = 0;
}

/* Takes one code off the stream; returns its length and stores its place among the used symbols. A complete code always
 * ends the search at the longest length. Zeros follow the end of the stream. */
static inline uint32_t next_code(struct smg_bit_reader *reader, const struct smg_huffman_level *levels, uint32_t *place)
{
    if (reader->available < 16 && reader->next != reader->end) {
        reader->window |= (uint32_t)*reader->next++ << (16 - reader->available);
        reader->available += 16;
    }
    uint32_t code = reader->window >> (32 - SMG_MAX_CODE_LENGTH);
    uint32_t length = 1;
    while (code >= levels[length].limit) {
        ++length;
    }
    *place = levels[length].base + ((code - levels[length - 1].limit) >> (SMG_MAX_CODE_LENGTH - length));
    reader->window <<= length;
    reader->available -= length;
    return length;
}

void smg_huffman_decode(struct smg_bit_reader *reader, const struct smg_huffman_level *levels, const int8_t *symbols,
                        int8_t *weights, uint32_t count)
{
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t place;
        next_code(reader, levels, &place);
        weights[i] = symbols[place];
    }
}

bool smg_huffman_stream_is_exact(const struct smg_huffman_level *levels, const void *stream, uint32_t weights_bits,
                                 uint32_t count)
{
    struct smg_bit_reader reader;
    smg_bits_open(&reader, stream, weights_bits);
    uint32_t left = weights_bits;
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t place;
        uint32_t length = next_code(&reader, levels, &place);
        if (length > left) {
            return false;
        }
        left -= length;
    }
    /* The window now holds what is left of the last unit, if anything, and zeros. */
    return left == 0 && reader.window == 0;
}
