/* Canonical, length-limited Huffman codes over int8: section 5 of docs/format.md. */
#include "internal.h"

typedef char smg_assert_lookup[sizeof(struct smg_huffman_lookup) == 2 << SMG_LOOKUP_BITS ? 1 : -1];
typedef char smg_assert_base[SMG_LONG_CODE_BASE * 4 + (SMG_LOOKUP_BITS + 1) * 4 == 1 << SMG_LOOKUP_BITS ? 1 : -1];
typedef char smg_assert_level[sizeof(struct smg_huffman_level) == 4 ? 1 : -1];

#define ALL_CODES (UINT32_C(1) << SMG_MAX_CODE_LENGTH) /* of the longest length */

enum { LONG_BITS = SMG_MAX_CODE_LENGTH - SMG_LOOKUP_BITS }; /* of the longest codes, behind what is looked up */

/* How many of the longest codes begin with the codes of one length, given how many these are. */
static uint32_t covered(uint32_t count, uint32_t length)
{
    return count << (SMG_MAX_CODE_LENGTH - length);
}

int smg_code_table_check(const struct smg_code_table *table)
{
    uint32_t longest = table->max_length;
    if (longest < 1 || longest > SMG_MAX_CODE_LENGTH || table->symbol_count > 256 || table->counts[longest - 1] == 0) {
        return SMG_BAD_CODE_TABLE;
    }
    if (table->zero != 0) {
        return SMG_NOT_ZERO;
    }
    uint32_t symbols = 0;
    uint32_t codes = 0; /* below 2^31: 15 counts of 16 bits */
    for (uint32_t length = 1; length <= longest; ++length) {
        symbols += table->counts[length - 1];
        codes += covered(table->counts[length - 1], length);
    }
    if (symbols != table->symbol_count) {
        return SMG_BAD_CODE_TABLE;
    }
    return codes == ALL_CODES ? SMG_OK : SMG_INCOMPLETE_CODE;
}

/* Fills entries first .. end - 1 of the lookup; returns end. */
static __attribute__((noinline)) uint32_t fill(struct smg_huffman_lookup *lookup, uint32_t first, uint32_t end,
                                               int32_t length, int32_t symbol)
{
    int8_t *lengths = lookup->lengths + first;
    int8_t *symbols = lookup->symbols + first;
    for (int8_t *last = lookup->lengths + end; lengths != last;) {
        *lengths++ = (int8_t)length;
        *symbols++ = (int8_t)symbol;
    }
    return end;
}

void smg_decoder_open(struct smg_decoder *decoder, uint8_t *memory, const struct smg_code_table *table)
{
    struct smg_huffman_lookup *lookup = (void *)memory;
    struct smg_huffman_level *level = lookup->levels;
    const int8_t *symbol = (const int8_t *)(table->counts + table->max_length);
    uint32_t entry = 0;
    uint32_t codes = 0; /* of the longest codes, those that begin with shorter codes than `length` */
    uint32_t place = 0;
    decoder->lookup = lookup;
    decoder->symbols = symbol;
    for (uint32_t length = 1; length <= table->max_length; ++length) {
        uint32_t count = table->counts[length - 1];
        uint32_t start = codes - covered(place, length); /* not below 0: codes of a length are twice as many or more */
        codes += covered(count, length);
        place += count;
        if (length <= SMG_LOOKUP_BITS) {
            for (; count != 0; --count) {
                entry = fill(lookup, entry, entry + ((1U << SMG_LOOKUP_BITS) >> length), (int32_t)length, *symbol++);
            }
        } else {
            uint32_t end = (codes + (1U << LONG_BITS) - 1) >> LONG_BITS; /* of entries with codes up to `length` */
            level->limit = (uint16_t)codes;
            level->start = (uint16_t)start;
            ++level;
            entry = fill(lookup, entry, end, SMG_LONG_CODE, (int32_t)length + SMG_LONG_CODE_BASE);
        }
    }
}

void smg_decoder_start(struct smg_decoder *decoder, const uint8_t *stream)
{
    const uint16_t *units = (const void *)stream;
    decoder->window = (uint32_t)units[0] << 16 | units[1];
    decoder->missing = -16;
    decoder->next = units + 2;
}

#if !SMG_THUMB_1

/* The symbol of the long code at the front of the window. *length: where to begin, then its length. A complete code
 * always ends the search at the longest length. */
static int8_t find_long_code(const struct smg_decoder *decoder, uint32_t *length)
{
    const struct smg_huffman_level *level = decoder->lookup->levels + (*length - SMG_LOOKUP_BITS - 1);
    uint32_t code = decoder->window >> (32 - SMG_MAX_CODE_LENGTH);
    for (; code >= level->limit; ++level) {
        ++*length;
    }
    return decoder->symbols[(code - level->start) >> (SMG_MAX_CODE_LENGTH - *length)];
}

static void take(struct smg_decoder *state, int32_t bits)
{
    state->window <<= bits;
    state->missing += bits;
    if (state->missing >= 0) {
        state->window |= (uint32_t)*state->next++ << state->missing;
        state->missing -= 16;
    }
}

static int8_t next_symbol(struct smg_decoder *state)
{
    uint32_t entry = state->window >> (32 - SMG_LOOKUP_BITS);
    int32_t length = state->lookup->lengths[entry];
    int8_t symbol = state->lookup->symbols[entry];
    if (length == SMG_LONG_CODE) {
        uint32_t found = (uint32_t)symbol - SMG_LONG_CODE_BASE;
        symbol = find_long_code(state, &found);
        length = (int32_t)found;
    }
    take(state, length);
    return symbol;
}

static uint32_t next_run(struct smg_decoder *state, uint32_t zero_runs)
{
    uint32_t run = 0;
    for (; state->window >> 31 != 0; run += 1U << (zero_runs - 1)) {
        take(state, 1);
    }
    run += state->window >> (32 - zero_runs); /* its first bit is 0 */
    take(state, (int32_t)zero_runs);
    return run;
}

static void decode_runs(struct smg_decoder *state, int8_t *weights, uint32_t count, uint32_t zero_runs)
{
    for (uint32_t i = next_run(state, zero_runs); i < count;) {
        weights[i++] = next_symbol(state);
        if (i != count) {
            i += next_run(state, zero_runs);
        }
    }
}

void smg_decode(struct smg_decoder *decoder, int8_t *weights, uint32_t count, uint32_t zero_runs)
{
    struct smg_decoder state = *decoder;
    if (zero_runs != 0) {
        decode_runs(&state, weights, count, zero_runs);
    } else {
        for (uint32_t i = 0; i < count; ++i) {
            weights[i] = next_symbol(&state);
        }
    }
    *decoder = state;
}

uint32_t smg_dense_runs(struct smg_decoder *decoder, const int8_t *input, uint32_t count, uint32_t zero_runs)
{
    struct smg_decoder state = *decoder;
    uint32_t sum = 0;
    for (uint32_t i = next_run(&state, zero_runs); i < count;) {
        sum += (uint32_t)(input[i++] * next_symbol(&state));
        if (i != count) {
            i += next_run(&state, zero_runs);
        }
    }
    *decoder = state;
    return sum;
}

#endif

bool smg_huffman_stream_is_exact(const struct smg_operator_record *record, const uint8_t *blob, uint32_t channels,
                                 uint32_t per_channel)
{
    const struct smg_code_table *table = (const void *)(blob + record->code_table_offset);
    uint32_t limits[SMG_MAX_CODE_LENGTH]; /* the longest codes below limits[i] begin with codes of up to i + 1 bits */
    uint32_t codes = 0;
    for (uint32_t length = 1; length <= table->max_length; ++length) {
        codes += covered(table->counts[length - 1], length);
        limits[length - 1] = codes;
    }
    const uint16_t *next = (const void *)(blob + record->weights_offset);
    uint32_t window = 0;
    uint32_t available = 0;               /* bits in the window */
    uint32_t bits = record->weights_bits; /* that are left, those in the window included */
    uint32_t zero_runs = record->zero_runs;
    for (; channels != 0; --channels) {
        bool in_run = zero_runs != 0;
        for (uint32_t left = per_channel; left != 0 || in_run;) {
            if (available < 16 && available < bits) {
                window |= (uint32_t)*next++ << (16 - available);
                available += 16;
            }
            uint32_t length = 1; /* of what comes next */
            uint32_t weights = 1;
            if (!in_run) {
                while (window >> (32 - SMG_MAX_CODE_LENGTH) >= limits[length - 1]) { /* the last is above all */
                    ++length;
                }
                in_run = zero_runs != 0 && left != 1;
            } else if (window >> 31 != 0) {
                weights = UINT32_C(1) << (zero_runs - 1);
            } else {
                length = zero_runs;
                weights = window >> (32 - zero_runs); /* its first bit is 0 */
                in_run = false;
            }
            if (length > bits || weights > left) {
                return false;
            }
            bits -= length;
            left -= weights;
            window <<= length;
            available -= length;
        }
    }
    /* The window now holds what is left of the last unit, if anything, and zeros. */
    return bits == 0 && window == 0;
}
