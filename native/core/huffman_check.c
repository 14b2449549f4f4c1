/* Checks code tables and bit streams: section 5 of docs/format.md. */
#include "internal.h"

#define ALL_CODES (UINT32_C(1) << SMG_MAX_CODE_LENGTH) /* of the longest length */

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
