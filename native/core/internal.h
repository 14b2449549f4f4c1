/* What the files of the engine share with each other; callers use smidgen.h. */
#ifndef SMG_INTERNAL_H
#define SMG_INTERNAL_H

#include "smidgen.h"

/* Cortex-M0 and M0+: assembly where it pays (files ..._thumb.c), and weights compiled to instructions (dot.h). */
#if defined(__ARM_ARCH_6M__)
#define SMG_THUMB_1 1
#else
#define SMG_THUMB_1 0
#endif

/* Cortex-M4 and M33: instructions on two halves of a word (dsp.h). Tests define it on other machines. */
#ifndef SMG_DSP
#if defined(__ARM_FEATURE_DSP)
#define SMG_DSP 1
#else
#define SMG_DSP 0
#endif
#endif

/* dividend / divisor, which is not 0. Cortex-M0 has no instruction for it, and the compiler's library is fast but large. */
#if SMG_THUMB_1
uint32_t smg_divide(uint32_t dividend, uint32_t divisor);
#else
static inline uint32_t smg_divide(uint32_t dividend, uint32_t divisor)
{
    return dividend / divisor;
}
#endif

#define SMG_READ_BY_ASSEMBLY __attribute__((unused)) /* a parameter that no C reads */

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

/* Kinds of operators whose kernels a smaller build leaves out, one bit for each: 1 << SMG_SOFTMAX | ... */
#ifndef SMG_WITHOUT
#define SMG_WITHOUT 0
#endif

static inline bool smg_is_left_out(uint32_t kind)
{
    return (uint32_t)(SMG_WITHOUT) >> kind & 1;
}

typedef void smg_kernel(const struct smg_step *step);

/* The kernel for a kind, which is one, and any kernel id; null if the engine has none. */
smg_kernel *smg_find_kernel(uint32_t kind, uint32_t kernel);

/* One kernel family per file; kernel id 0 of each kind; ..._pairs, ..._streamed and smg_linear_add kernel id 1. */
smg_kernel smg_conv_2d;
smg_kernel smg_conv_2d_pairs;
smg_kernel smg_depthwise_conv_2d_pairs;
smg_kernel smg_fully_connected;
smg_kernel smg_fully_connected_streamed;
smg_kernel smg_add;
smg_kernel smg_linear_add;
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

/* sum.c: the sum of `count` elements, at least 1 and below 2^24, at distances of `stride`, at least 1. */
int32_t smg_sum(const int8_t *first, uint32_t count, uint32_t stride);

/* Whether a tap's position, modulo 2^32, is inside the input. Positions of checked windows are above -2^16 and below
 * 2^32 - 2^16, so that none comes back inside. */
static inline bool smg_is_inside(const struct smg_tensor_record *input, uint32_t y, uint32_t x)
{
    return y < input->dimensions[1] && x < input->dimensions[2];
}

/* huffman.c */

/* Bytes of the table itself; max_length and symbol_count are all that is read. */
static inline uint32_t smg_code_table_bytes(const struct smg_code_table *table)
{
    return (uint32_t)(sizeof(*table) + table->max_length * sizeof(table->counts[0])) + table->symbol_count;
}

/* Checks all of a code table (section 5 of the format), which must lie inside the blob. 0 or a status. */
int smg_code_table_check(const struct smg_code_table *table);

/* Decoding: a table by the next SMG_LOOKUP_BITS bits tells lengths and symbols of short codes; the levels serve longer
 * ones. Reads up to SMG_READ_AHEAD bytes behind the stream. The assembly of huffman_thumb.c and dense_thumb.c knows
 * where everything is. */
#define SMG_LOOKUP_BITS 8
#define SMG_READ_AHEAD 4

/* Codes of one length above SMG_LOOKUP_BITS. */
struct smg_huffman_level {
    uint16_t limit; /* codes, left-justified in 15 bits, below it are of this length or shorter */
    uint16_t start; /* a code minus this, shifted right by the bits it does not have, is the place of its symbol */
};

/* In scratch. levels[i] is for codes of SMG_LOOKUP_BITS + 1 + i bits; there are as many as the table needs. */
struct smg_huffman_lookup {
    int8_t lengths[1 << SMG_LOOKUP_BITS]; /* SMG_LONG_CODE: more than SMG_LOOKUP_BITS bits */
    int8_t symbols[1 << SMG_LOOKUP_BITS]; /* of a long code: SMG_LONG_CODE_BASE + the length to begin with */
    struct smg_huffman_level levels[];
};

#define SMG_LONG_CODE (-128)
#define SMG_LONG_CODE_BASE 55 /* so that 4 times this byte is the distance from the symbols to the level */

struct smg_decoder {
    uint32_t window;                         /* 0: the next bits, most significant first */
    int32_t missing;                         /* 4: 16 - valid bits of the window; -16 .. -1 between weights */
    const struct smg_huffman_lookup *lookup; /* 8 */
    const uint16_t *next;                    /* 12: unit of the stream */
    const int8_t *symbols;                   /* 16: all symbols, in the order of their codes */
};

/* Builds the tables for a checked code table in memory of smg_decoder_bytes, a multiple of 4. */
void smg_decoder_open(struct smg_decoder *decoder, uint8_t *memory, const struct smg_code_table *table);

/* Starts at the beginning of a stream. */
void smg_decoder_start(struct smg_decoder *decoder, const uint8_t *stream);

#define SMG_MAX_ZERO_RUNS 8 /* the largest zero_runs of a record */

/* Decodes `count` weights, at least 1; with zero runs, those of one output channel, over zeros. zero_runs: of the
 * operator's record. */
void smg_decode(struct smg_decoder *decoder, int8_t *weights, uint32_t count, uint32_t zero_runs);

/* The dot product of an input with the weights of an output channel, `count` of them, in a stream with zero runs. */
uint32_t smg_dense_runs(struct smg_decoder *decoder, const int8_t *input, uint32_t count, uint32_t zero_runs);

#if SMG_THUMB_1
/* huffman_thumb.c does both: with MULTIPLY beside zero_runs an input is in place of the weights. */
#define SMG_MULTIPLY 0x100
uint32_t smg_decode_thumb(struct smg_decoder *decoder, const int8_t *weights, uint32_t count, uint32_t how);
#define smg_decode(decoder, weights, count, zero_runs) (void)smg_decode_thumb(decoder, weights, count, zero_runs)
#define smg_dense_runs(decoder, input, count, zero_runs) smg_decode_thumb(decoder, input, count, SMG_MULTIPLY | (zero_runs))
#endif

/* Whether the codes of the weights of all channels take exactly the bits of the record's stream, and the rest of its
 * last unit is zero. With zero runs: also that no run is longer than what is left of its channel. */
bool smg_huffman_stream_is_exact(const struct smg_operator_record *record, const uint8_t *blob, uint32_t channels,
                                 uint32_t per_channel);

/* weights.c: weights of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED, tile by tile. */

/* Weights of one output channel, for tensors that have been checked; saturates before the operator is checked. */
uint32_t smg_weights_per_channel(const struct smg_operator_record *record, const struct smg_tensor_record *input,
                                 const struct smg_tensor_record *output);

/* saturating.c: a + b and a * b, or UINT32_MAX if that is larger. */
uint32_t smg_saturating_add(uint32_t a, uint32_t b);
uint32_t smg_saturating_multiply(uint32_t a, uint32_t b);

/* Scratch that decoding with a table takes, a multiple of 4: section 6 of the format. */
uint32_t smg_decoder_bytes(const struct smg_code_table *table);

/* The weights of an operator, a few output channels at a time. */
struct smg_weights {
    const struct smg_step *step;
    uint32_t per_channel;
    uint8_t *free; /* scratch behind what decoding takes, a multiple of 4 */
    const int8_t *raw; /* null for coded weights */
    struct smg_decoder decoder;
};

void smg_weights_open(struct smg_weights *weights, const struct smg_step *step);

/* Back to the first output channel. */
void smg_weights_rewind(struct smg_weights *weights);

/* The weights of the next `channels` output channels, decoded into `buffer` if they are coded. */
const int8_t *smg_weights_next(struct smg_weights *weights, uint32_t channels, int8_t *buffer);

struct smg_tiles {
    struct smg_weights from;
    const int8_t *weights; /* of channel `first` */
    uint32_t first;        /* output channels first .. end - 1 are in this tile */
    uint32_t end;
};

void smg_tiles_open(struct smg_tiles *tiles, const struct smg_step *step);

/* Makes the next tile ready; false when there is none left. */
bool smg_tiles_next(struct smg_tiles *tiles);

/* dense.c */

#define SMG_DENSE_CHANNELS 4 /* output channels of FULLY_CONNECTED that are computed together; also in the format */

/* The dot products of the input with the weights [channel][input] of 1 .. SMG_DENSE_CHANNELS output channels. There is
 * at least one input. */
void smg_dense_raw(const int8_t *input, const int8_t *weights, uint32_t inputs, uint32_t *sums, uint32_t channels);

/* The same with the next weights of a stream, [input][channel]. */
void smg_dense_streamed(struct smg_decoder *decoder, const int8_t *input, uint32_t inputs, uint32_t *sums,
                        uint32_t channels);

#if SMG_THUMB_1
/* dense_thumb.c: of SMG_DENSE_CHANNELS. */
void smg_dense_raw_thumb(const int8_t *input, const int8_t *weights, uint32_t inputs, uint32_t *sums);
void smg_dense_streamed_thumb(struct smg_decoder *decoder, const int8_t *input, uint32_t inputs, uint32_t *sums);
#endif

/* requantize.c: section 3 of the format. Sums wrap modulo 2^32 and are therefore unsigned. */

/* (a * b + 2^30) >> 31, not for a = b = -2^31. Adding 2^30 and shifting rounds halves up for either sign, exactly as the
 * nudge that depends on the sign followed by a division that truncates. */
static inline int32_t smg_rounded_high(int32_t a, int32_t b)
{
#if SMG_THUMB_1
    /* From four products of halves: a 64-bit multiplication is a long library call here. */
    int32_t a_high = a >> 16;
    int32_t b_high = b >> 16;
    uint32_t a_low = (uint32_t)a & 0xFFFF;
    uint32_t b_low = (uint32_t)b & 0xFFFF;
    uint32_t low = a_low * b_low;
    int32_t middle = a_high * (int32_t)b_low + (int32_t)(low >> 16);
    int32_t other = b_high * (int32_t)a_low + (middle & 0xFFFF);
    uint32_t high = (uint32_t)(a_high * b_high + (middle >> 16) + (other >> 16));
    low = ((uint32_t)other << 16 | (low & 0xFFFF)) + (UINT32_C(1) << 30);
    high += low < UINT32_C(1) << 30;
    return (int32_t)(high << 1 | low >> 31);
#else
    return (int32_t)(((int64_t)a * b + (INT64_C(1) << 30)) >> 31);
#endif
}

/* value / 2^exponent to the nearest, halves away from zero; 0 for an exponent above 31. value: above -2^31, and with an
 * exponent of 1 below 2^31 - 1; smg_rounded_high by a multiplier gives neither. */
static inline int32_t smg_rounding_shift_right(int32_t value, uint32_t exponent)
{
    if (exponent - 1 > 30) {
        return exponent == 0 ? value : 0;
    }
    return (((value + (value >> 31)) >> (exponent - 1)) + 1) >> 1;
}

int32_t smg_doubling_high_multiply(int32_t a, int32_t b); /* saturates */
int32_t smg_requantize(uint32_t value, int32_t multiplier, int32_t shift);

/* clamp(value + zero point of the output) */
int8_t smg_clamp_output(const struct smg_step *step, int32_t value);

/* Per-channel requantisation data of an operator with weights. */
struct smg_channels {
    const struct smg_channel_numbers *numbers;
    const struct smg_step *step;
};

/* One output channel's numbers. The bias contains the input's zero point: the sum is of plain inputs times weights. */
struct smg_channel {
    uint32_t bias;
    int32_t multiplier;
    int32_t shift;
};

void smg_channels_open(struct smg_channels *channels, const struct smg_step *step);

/* channel: an index below the number of output channels */
void smg_channels_read(const struct smg_channels *channels, uint32_t channel, struct smg_channel *result);

/* The output for a sum that includes the bias: requantised, with the zero point added, clamped. */
int8_t smg_channel_output(const struct smg_step *step, const struct smg_channel *channel, uint32_t accumulator);

#endif
