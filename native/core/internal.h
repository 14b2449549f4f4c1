/* What the files of the engine share with each other; callers use smidgen.h. */
#ifndef SMG_INTERNAL_H
#define SMG_INTERNAL_H

#include "smidgen.h"

#define SMG_HUFFMAN_LEVELS 16
#define SMG_MAX_CODE_LENGTH 15

uint32_t smg_crc32(const uint8_t *bytes, size_t count);

/* Everything a kernel needs to run one operator. */
struct smg_step {
    const struct smg_operator_record *record;
    const struct smg_tensor_record *input;
    const struct smg_tensor_record *input2; /* null where the kind has none */
    const struct smg_tensor_record *output;
    const int8_t *input_data;
    const int8_t *input2_data;
    int8_t *output_data;
    const uint8_t *blob;
    uint8_t *scratch;
};

typedef void smg_kernel(const struct smg_step *step);

/* The kernel for a kind and a kernel id, or null if the engine has none. */
smg_kernel *smg_find_kernel(uint32_t kind, uint32_t kernel);

/* One kernel family per file, kernel id 0 of each kind. */
smg_kernel smg_conv_2d;
smg_kernel smg_depthwise_conv_2d;
smg_kernel smg_fully_connected;
smg_kernel smg_add;
smg_kernel smg_mul;
smg_kernel smg_average_pool_2d;
smg_kernel smg_max_pool_2d;
smg_kernel smg_mean;
smg_kernel smg_pad;
smg_kernel smg_copy;
smg_kernel smg_lookup;
smg_kernel smg_softmax;

static inline const void *smg_requantization_data(const struct smg_step *step)
{
    return step->blob + step->record->requantization_offset;
}

static inline uint32_t smg_align4(uint32_t bytes)
{
    return (bytes + 3) & ~UINT32_C(3);
}

/* window.c: the taps of a window that lie inside the input, in one direction. */
struct smg_taps {
    uint32_t first; /* first tap inside */
    uint32_t end;   /* one past the last tap inside; first >= end if there is none */
    int32_t origin; /* input position of tap 0, may be negative */
};

struct smg_taps smg_window_taps(uint32_t output_position, uint32_t stride, uint32_t pad, uint32_t kernel,
                                uint32_t dilation, uint32_t input_size);

/* huffman.c */

/* For each code length: codes below `limit` (15 bits, left-justified) are of this length or shorter;
 * `base` is how many symbols have a shorter code. */
struct smg_huffman_level {
    uint16_t limit;
    uint16_t base;
};

struct smg_bit_reader {
    const uint16_t *next;
    const uint16_t *end;
    uint32_t window;    /* the next bits, most significant first */
    uint32_t available; /* how many bits of the window are valid */
};

/* Bytes of the table itself; symbol_count is all that is read. */
static inline uint32_t smg_code_table_bytes(const struct smg_code_table *table)
{
    return (uint32_t)sizeof(*table) + (table->symbol_count + UINT32_C(1)) / 2;
}

/* Checks all of a code table (section 5 of the format), which must lie inside the blob. 0 or a status. */
int smg_code_table_check(const struct smg_code_table *table);

/* How many symbols have a code. */
uint32_t smg_code_table_used(const struct smg_code_table *table);

/* Fills levels[SMG_HUFFMAN_LEVELS] and, unless it is null, symbols[used] from a checked table. */
void smg_huffman_build(struct smg_huffman_level *levels, int8_t *symbols, const struct smg_code_table *table);

/* weights_bits bits starting at an even address */
void smg_bits_open(struct smg_bit_reader *reader, const void *stream, uint32_t weights_bits);

/* Decodes `count` weights. */
void smg_huffman_decode(struct smg_bit_reader *reader, const struct smg_huffman_level *levels, const int8_t *symbols,
                        int8_t *weights, uint32_t count);

/* Whether the codes of `count` weights take exactly weights_bits bits of the stream, and the rest of its last unit is
 * zero. */
bool smg_huffman_stream_is_exact(const struct smg_huffman_level *levels, const void *stream, uint32_t weights_bits,
                                 uint32_t count);

/* weights.c: weights of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED, tile by tile. */

/* Weights of one output channel, for tensors that have been checked. Up to 2^48 before the operator is checked. */
uint64_t smg_weights_per_channel(const struct smg_operator_record *record, const struct smg_tensor_record *input,
                                 const struct smg_tensor_record *output);

/* Scratch an operator with Huffman coded weights needs: section 6 of the format. */
uint64_t smg_huffman_scratch_bytes(const struct smg_code_table *table, uint32_t tile_channels,
                                   uint64_t weights_per_channel);

struct smg_tiles {
    const int8_t *weights; /* of channel `first` */
    uint32_t first;        /* output channels first .. end - 1 are in this tile */
    uint32_t end;
    uint32_t weights_per_channel;
    const struct smg_step *step;
    const struct smg_huffman_level *levels;
    const int8_t *symbols;
    int8_t *decoded;
    struct smg_bit_reader reader;
};

void smg_tiles_open(struct smg_tiles *tiles, const struct smg_step *step);

/* Makes the next tile ready; false when there is none left. */
bool smg_tiles_next(struct smg_tiles *tiles);

/* requantize.c: section 3 of the format. Sums wrap modulo 2^32 and are therefore unsigned. */

int32_t smg_doubling_high_multiply(int32_t a, int32_t b);
int32_t smg_rounding_shift_right(int32_t value, uint32_t exponent); /* 0 for an exponent above 31 */
int32_t smg_requantize(uint32_t value, int32_t multiplier, int32_t shift);

/* clamp(value + zero point of the output) */
int8_t smg_clamp_output(const struct smg_step *step, int32_t value);

/* Per-channel requantisation data of an operator with weights. */
struct smg_channels {
    const int32_t *multipliers;
    const void *biases;
    const int8_t *shifts;
    const struct smg_step *step;
};

void smg_channels_open(struct smg_channels *channels, const struct smg_step *step);
uint32_t smg_channel_bias(const struct smg_channels *channels, uint32_t channel);
int8_t smg_channel_output(const struct smg_channels *channels, uint32_t channel, uint32_t accumulator);

#endif
