/* Canonical, length-limited Huffman codes over int8: section 5 of docs/format.md. */
#include "internal.h"

typedef char smg_assert_levels[sizeof(struct smg_huffman_level) * SMG_HUFFMAN_LEVELS == 64 ? 1 : -1];

enum { LOOKUP_ENTRIES = 1 << SMG_LOOKUP_BITS, LONG_CODE = 128 };

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

/* Levels of a table and, unless `symbols` is null, its used symbols ordered by code. */
static void build(struct smg_huffman_level *levels, int8_t *symbols, const struct smg_code_table *table)
{
    uint16_t places[SMG_HUFFMAN_LEVELS];
    for (uint32_t length = 0; length < SMG_HUFFMAN_LEVELS; ++length) {
        places[length] = 0;
    }
    for (uint32_t i = 0; i < table->symbol_count; ++i) {
        ++places[code_length(table, i)]; /* for now how many codes there are of each length */
    }
    uint32_t limit = 0;
    uint32_t base = 0;
    for (uint32_t length = 0; length < SMG_HUFFMAN_LEVELS; ++length) {
        uint32_t count = length == 0 ? 0 : places[length];
        levels[length].base = (uint16_t)base;
        places[length] = (uint16_t)base;
        base += count;
        limit += count << (SMG_MAX_CODE_LENGTH - length);
        levels[length].limit = (uint16_t)limit;
    }
    for (uint32_t i = 0; symbols != NULL && i < table->symbol_count; ++i) {
        uint32_t length = code_length(table, i);
        if (length != 0) {
            symbols[places[length]++] = (int8_t)(table->first_symbol + (int32_t)i);
        }
    }
}

void smg_decoder_open(struct smg_decoder *decoder, uint8_t *memory, const struct smg_code_table *table)
{
    struct smg_huffman_level *levels = (void *)memory;
    uint8_t *lookup = memory + sizeof(*levels) * SMG_HUFFMAN_LEVELS;
    int8_t *symbols = (int8_t *)lookup + 2 * LOOKUP_ENTRIES;
    build(levels, symbols, table);
    uint32_t code = 0;
    for (uint32_t length = 1, place = 0; length <= SMG_LOOKUP_BITS; ++length) {
        uint32_t limit = levels[length].limit >> (SMG_MAX_CODE_LENGTH - SMG_LOOKUP_BITS);
        for (; code < limit; ++place) {
            for (uint32_t end = code + (LOOKUP_ENTRIES >> length); code < end; ++code) {
                lookup[code] = (uint8_t)length;
                lookup[LOOKUP_ENTRIES + code] = (uint8_t)symbols[place];
            }
        }
    }
    for (; code < LOOKUP_ENTRIES; ++code) {
        lookup[code] = LONG_CODE;
    }
    decoder->lookup = lookup;
    decoder->levels = levels;
    decoder->symbols = symbols;
}

void smg_decoder_start(struct smg_decoder *decoder, const uint8_t *stream)
{
    const uint16_t *units = (const void *)stream;
    decoder->window = (uint32_t)units[0] << 16 | units[1];
    decoder->missing = -16;
    decoder->next = units + 2;
}

/* Length of the code at the front of a window, and its place among the used symbols. A complete code always ends the
 * search at the longest length. */
static inline uint32_t find_code(const struct smg_huffman_level *levels, uint32_t window, uint32_t *place)
{
    uint32_t code = window >> (32 - SMG_MAX_CODE_LENGTH);
    uint32_t length = 1;
    while (code >= levels[length].limit) {
        ++length;
    }
    *place = levels[length].base + ((code - levels[length - 1].limit) >> (SMG_MAX_CODE_LENGTH - length));
    return length;
}

#if !SMG_THUMB_1

void smg_decode(struct smg_decoder *decoder, int8_t *weights, uint32_t count)
{
    struct smg_decoder state = *decoder;
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t entry = state.window >> (32 - SMG_LOOKUP_BITS);
        uint32_t length = state.lookup[entry];
        if (length != LONG_CODE) {
            weights[i] = (int8_t)state.lookup[LOOKUP_ENTRIES + entry];
        } else {
            uint32_t place;
            length = find_code(state.levels, state.window, &place);
            weights[i] = state.symbols[place];
        }
        state.window <<= length;
        state.missing += (int32_t)length;
        if (state.missing > 0) {
            state.window |= (uint32_t)*state.next++ << state.missing;
            state.missing -= 16;
        }
    }
    *decoder = state;
}

#endif

bool smg_huffman_stream_is_exact(const struct smg_code_table *table, const void *stream, uint32_t weights_bits,
                                 uint32_t count)
{
    struct smg_huffman_level levels[SMG_HUFFMAN_LEVELS];
    build(levels, NULL, table);
    const uint16_t *next = stream;
    const uint16_t *end = next + weights_bits / 16 + (weights_bits % 16 != 0);
    uint32_t window = 0;
    uint32_t available = 0;
    uint32_t left = weights_bits;
    for (uint32_t i = 0; i < count; ++i) {
        if (available < 16 && next != end) {
            window |= (uint32_t)*next++ << (16 - available);
            available += 16;
        }
        uint32_t place;
        uint32_t length = find_code(levels, window, &place);
        if (length > left) {
            return false;
        }
        left -= length;
        window <<= length;
        available -= length;
    }
    /* The window now holds what is left of the last unit, if anything, and zeros. */
    return left == 0 && window == 0;
}
