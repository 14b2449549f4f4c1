/* The records of a .smg blob, version 1, as they lie in memory. docs/format.md is normative.
 *
 * The engine lays these structures over the blob: every field is naturally aligned and little-endian.
 */
#ifndef SMG_FORMAT_H
#define SMG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the blob is used in place, which needs a little-endian machine"
#endif

#define SMG_MAGIC UINT32_C(0x1A474D53) /* "SMG", 0x1A */
#define SMG_VERSION 1
#define SMG_NO_TENSOR 0xFFFF
#define SMG_SOFTMAX_LIMIT 4096               /* elements of a row are below this */
#define SMG_MEMORY_LIMIT (UINT32_C(1) << 24) /* arena and the elements of a tensor are below this */

enum smg_kind {
    SMG_CONV_2D = 1,
    SMG_DEPTHWISE_CONV_2D = 2,
    SMG_FULLY_CONNECTED = 3,
    SMG_ADD = 4,
    SMG_MUL = 5,
    SMG_AVERAGE_POOL_2D = 6,
    SMG_MAX_POOL_2D = 7,
    SMG_MEAN = 8,
    SMG_PAD = 9,
    SMG_COPY = 10,
    SMG_LOOKUP = 11,
    SMG_SOFTMAX = 12,
    SMG_KIND_LIMIT
};

enum smg_coding { SMG_NO_WEIGHTS = 0, SMG_RAW = 1, SMG_HUFFMAN = 2 };

enum smg_tensor_flag { SMG_CONSTANT = 1 };

struct smg_header {
    uint32_t magic;
    uint16_t version;
    uint16_t header_bytes;
    uint32_t blob_bytes;
    uint32_t crc32;
    uint32_t arena_bytes;
    uint32_t scratch_bytes;
    uint16_t tensor_count;
    uint16_t operator_count;
    uint8_t input_count;
    uint8_t output_count;
    uint16_t golden_count;
    uint32_t tensors_offset;
    uint32_t operators_offset;
    uint32_t golden_offset;
    uint32_t metadata_offset;
    uint32_t metadata_bytes;
    uint8_t zero[12];
};

struct smg_tensor_record {
    uint32_t offset;
    uint16_t dimensions[4]; /* batch, height, width, channels for images */
    uint8_t rank;
    uint8_t dtype;
    int8_t zero_point;
    uint8_t flags;
    uint32_t scale_bits; /* an IEEE 754 single; the engine uses no floating point */
};

/* CONV_2D, DEPTHWISE_CONV_2D, AVERAGE_POOL_2D, MAX_POOL_2D */
struct smg_window {
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t dilation_h, dilation_w;
    uint16_t pad_top, pad_left;
};

struct smg_broadcast { /* ADD, MUL */
    uint32_t repeat;
};

struct smg_mean {
    uint32_t inner;
};

struct smg_pad {
    uint16_t before_h, after_h;
    uint16_t before_w, after_w;
    uint16_t before_c, after_c;
};

struct smg_copy {
    uint32_t chunk, stride, start; /* elements */
};

struct smg_operator_record {
    uint8_t kind;
    uint8_t kernel;
    int8_t activation_min;
    int8_t activation_max;
    uint16_t input;
    uint16_t input2;
    uint16_t output;
    uint16_t tile;
    uint32_t weights_offset;
    uint32_t weights_bits;
    uint8_t weights_coding;
    uint8_t zero_runs; /* Huffman: 0, or one more than the low bits of the code for runs of zeros */
    uint16_t workspace; /* words of scratch, besides decoding, for kernels that gather their input */
    uint32_t requantization_offset;
    uint32_t code_table_offset;
    union {
        uint8_t bytes[16];
        struct smg_window window;
        struct smg_broadcast broadcast;
        struct smg_mean mean;
        struct smg_pad pad;
        struct smg_copy copy;
    } parameters;
    uint32_t scratch_offset; /* arena offset of the memory that only this operator uses; 0 if it needs none */
};

struct smg_code_table {
    uint8_t max_length;
    uint8_t zero;
    uint16_t symbol_count;
    uint16_t counts[]; /* of codes of 1 .. max_length bits; then the symbols, i8, in the order of their codes */
};

/* Requantisation of the kinds with weights. An entry for each output channel has a bias, a field that is added to the
 * multiplier in steps of 2^(30 - multiplier_bits), and one that is added to the shift. */
struct smg_channel_numbers {
    uint32_t multiplier;
    int8_t shift;
    uint8_t bias_bits;
    uint8_t multiplier_bits;
    uint8_t shift_bits;
    uint32_t entries[]; /* a bit stream, lowest bit first */
};

/* Requantisation of ADD (three of them), MUL and MEAN. */
struct smg_scaling {
    int32_t multiplier;
    int32_t shift;
};

/* Requantisation of ADD with kernel 1. */
struct smg_linear_add {
    int32_t factor, factor2; /* of x and y */
    int32_t offset;
    int32_t exponent;
};

struct smg_softmax {
    struct smg_scaling scaling;
    int32_t minimum;
};

/* C99 has no static assertion: an array of negative size does not compile. */
typedef char smg_assert_header_size[sizeof(struct smg_header) == 64 ? 1 : -1];
typedef char smg_assert_tensor_size[sizeof(struct smg_tensor_record) == 20 ? 1 : -1];
typedef char smg_assert_operator_size[sizeof(struct smg_operator_record) == 52 ? 1 : -1];
typedef char smg_assert_code_table_size[sizeof(struct smg_code_table) == 4 ? 1 : -1];
typedef char smg_assert_numbers_size[sizeof(struct smg_channel_numbers) == 8 ? 1 : -1];
typedef char smg_assert_parameters[offsetof(struct smg_operator_record, parameters) == 32 ? 1 : -1];

#endif
