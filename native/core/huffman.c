/* Canonical, length-limited Huffman codes over int8: section 5 of docs/format.md. */
#include "internal.h"

typedef char smg_assert_lookup[sizeof(struct smg_huffman_lookup) == 2 << SMG_LOOKUP_BITS ? 1 : -1];
typedef char smg_assert_base[SMG_LONG_CODE_BASE * 4 + (SMG_LOOKUP_BITS + 1) * 4 == 1 << SMG_LOOKUP_BITS ? 1 : -1];
typedef char smg_assert_level[sizeof(struct smg_huffman_level) == 4 ? 1 : -1];

enum { LONG_BITS = SMG_MAX_CODE_LENGTH - SMG_LOOKUP_BITS }; /* of the longest codes, behind what is looked up */

/* How many of the longest codes begin with the codes of one length, given how many these are. */
static uint32_t covered(uint32_t count, uint32_t length)
{
    return count << (SMG_MAX_CODE_LENGTH - length);
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

/* A decoder's state stays in registers only where all of this is inlined. */
#define INLINE static inline __attribute__((always_inline))

/* The symbol of the long code at the front of the window. *length: where to begin, then its length. A complete code
 * always ends the search at the longest length. */
static __attribute__((noinline)) int8_t find_long_code(const struct smg_huffman_lookup *lookup, const int8_t *symbols,
                                                       uint32_t window, uint32_t *length)
{
    const struct smg_huffman_level *level = lookup->levels + (*length - SMG_LOOKUP_BITS - 1);
    uint32_t code = window >> (32 - SMG_MAX_CODE_LENGTH);
    for (; code >= level->limit; ++level) {
        ++*length;
    }
    return symbols[(code - level->start) >> (SMG_MAX_CODE_LENGTH - *length)];
}

INLINE void take(struct smg_decoder *state, int32_t bits)
{
    state->window <<= bits;
    state->missing += bits;
    if (state->missing >= 0) {
        state->window |= (uint32_t)*state->next++ << state->missing;
        state->missing -= 16;
    }
}

INLINE int8_t next_symbol(struct smg_decoder *state)
{
    uint32_t entry = state->window >> (32 - SMG_LOOKUP_BITS);
    int32_t length = state->lookup->lengths[entry];
    int8_t symbol = state->lookup->symbols[entry];
    if (length == SMG_LONG_CODE) {
        uint32_t found = (uint32_t)symbol - SMG_LONG_CODE_BASE;
        symbol = find_long_code(state->lookup, state->symbols, state->window, &found);
        length = (int32_t)found;
    }
    take(state, length);
    return symbol;
}

INLINE uint32_t next_run(struct smg_decoder *state, uint32_t zero_runs)
{
    uint32_t run = 0;
    for (; state->window >> 31 != 0; run += 1U << (zero_runs - 1)) {
        take(state, 1);
    }
    run += state->window >> (32 - zero_runs); /* its first bit is 0 */
    take(state, (int32_t)zero_runs);
    return run;
}

/* Stores weights that have runs of zeros between them, or returns their dot product with an input where `weights` is
 * null. */
static __attribute__((noinline)) uint32_t walk_runs(struct smg_decoder *decoder, int8_t *weights, const int8_t *input,
                                                    uint32_t count, uint32_t zero_runs)
{
    struct smg_decoder state = *decoder;
    uint32_t sum = 0;
    for (uint32_t i = next_run(&state, zero_runs); i < count;) {
        int8_t weight = next_symbol(&state);
        if (weights != NULL) {
            weights[i] = weight;
        } else {
            sum += (uint32_t)(input[i] * weight);
        }
        ++i;
        if (i != count) {
            i += next_run(&state, zero_runs);
        }
    }
    *decoder = state;
    return sum;
}

uint32_t smg_dense_runs(struct smg_decoder *decoder, const int8_t *input, uint32_t count, uint32_t zero_runs)
{
    return walk_runs(decoder, NULL, input, count, zero_runs);
}

void smg_decode(struct smg_decoder *decoder, int8_t *weights, uint32_t count, uint32_t zero_runs)
{
    if (zero_runs != 0) {
        (void)walk_runs(decoder, weights, NULL, count, zero_runs);
        return;
    }
    struct smg_decoder state = *decoder;
    for (const int8_t *end = weights + count; weights != end; ++weights) {
        *weights = next_symbol(&state);
    }
    *decoder = state;
}

#endif
