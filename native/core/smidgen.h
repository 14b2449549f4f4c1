/* smidgen: runs int8 neural networks from a .smg blob (docs/format.md).
 *
 * The caller supplies all memory: the blob and the arena, for activations and scratch. The engine allocates nothing,
 * keeps no state outside struct smg_model and uses neither recursion nor floating point.
 *
 *     struct smg_model model;
 *     struct smg_fault fault;
 *     int status = smg_load(&model, blob, blob_bytes, &fault);
 *     if (status == SMG_OK) {
 *         status = smg_bind(&model, arena, arena_bytes);
 *     }
 *     ... write the inputs to smg_tensor_data(&model, 0 .. input_count - 1) ...
 *     for (uint32_t k = 0; status == SMG_OK && k < smg_header(&model)->operator_count; ++k) {
 *         status = smg_run_operator(&model, k);
 *     }
 */
#ifndef SMG_SMIDGEN_H
#define SMG_SMIDGEN_H

#include "format.h"

/* What functions return: 0 or one of these. Rules in brackets are sections of docs/format.md. */
enum smg_status {
    SMG_OK = 0,
    /* the buffer and the header [2.1] */
    SMG_BAD_ALIGNMENT = -1,  /* blob or arena does not start at a multiple of 4 */
    SMG_TOO_SHORT = -2,      /* fewer bytes than the header, or than blob_bytes says */
    SMG_BAD_MAGIC = -3,      /* no blob at all */
    SMG_BAD_VERSION = -4,    /* a version this engine does not know */
    SMG_BAD_LENGTH = -5,     /* header_bytes is not 64, or blob_bytes below 64 or not a multiple of 4 */
    SMG_BAD_CRC = -6,        /* the bytes are not those that were written */
    SMG_NOT_ZERO = -7,       /* a reserved byte, or a field the operator does not use */
    SMG_BAD_COUNT = -8,      /* no tensor, operator, input or output; or more inputs and outputs than tensors */
    SMG_BAD_OFFSET = -9,     /* an offset is not a multiple of what its data needs */
    SMG_OUTSIDE_BLOB = -10,  /* something named in a record is not inside the blob, or inside the header */
    SMG_TOO_LARGE = -11,     /* arena, scratch or a tensor of 16 MiB or more */
    SMG_BAD_SCRATCH = -12,   /* scratch_bytes is not what the hungriest operator needs */
    SMG_TOO_MUCH_WORK = -13, /* operators share weights so often that checking them would not end soon */
    /* tensors [2.2] */
    SMG_BAD_SHAPE = -14,     /* rank not 1 .. 4, a dimension of 0, or one not 1 outside the rank */
    SMG_BAD_DTYPE = -15,     /* element type other than int8 */
    SMG_BAD_SCALE = -16,     /* scale not finite or not above 0 */
    SMG_OUTSIDE_ARENA = -17, /* tensor or scratch does not fit in arena_bytes */
    SMG_BAD_CONSTANT = -18,  /* a network input or output, or an operator's output, is a constant */
    SMG_INPUT_WRITTEN = -19, /* an operator writes a network input */
    SMG_NEVER_WRITTEN = -20, /* neither an input nor a constant, yet no operator writes it */
    /* operators [2.3, 4] */
    SMG_BAD_KIND = -21,       /* unknown kind of operator */
    SMG_BAD_KERNEL = -22,     /* this engine has no such kernel for the kind */
    SMG_BAD_TENSOR = -23,     /* tensor index out of range, or a second operand where there is none */
    SMG_BAD_CLAMP = -24,      /* activation_min above activation_max, or a range on a kind without one */
    SMG_BAD_ENTRY = -25,      /* more bits for the bias, multiplier or shift of a channel than they can have */
    SMG_BAD_WINDOW = -26,     /* kernel, stride, dilation or padding */
    SMG_BAD_BATCH = -27,      /* dimension 0 is not 1 where it must be */
    SMG_BAD_SIZE = -28,       /* elements or channels of input and output do not go together */
    SMG_BAD_PARAMETER = -29,  /* repeat, inner, chunk, stride or start */
    SMG_BAD_ZERO_POINT = -30, /* softmax into anything but -128 */
    SMG_BAD_MULTIPLIER = -31, /* multiplier of 2^31 or more, or softmax minimum above 0 */
    SMG_BAD_SHIFT = -32,      /* shift out of range */
    /* weights [5, 6] */
    SMG_BAD_CODING = -33,       /* weights_coding does not go with the kind */
    SMG_BAD_WEIGHTS_BITS = -34, /* length of the weights does not go with the shapes */
    SMG_BAD_TILE = -35,         /* tile is 0, or too large for the kernel */
    SMG_BAD_CODE_TABLE = -36,   /* a field or a code length of the table is out of range */
    SMG_INCOMPLETE_CODE = -37,  /* the code lengths do not make a complete prefix code */
    SMG_BAD_STREAM = -38,       /* the codes of all weights do not end at weights_bits */
    /* calls after loading */
    SMG_SMALL_MEMORY = -39,  /* arena smaller than the header says */
    SMG_SHARED_MEMORY = -40, /* arena and blob overlap */
    SMG_NOT_BOUND = -41,     /* run before bind */
    SMG_BAD_OPERATOR = -42,  /* operator index out of range */
    /* kernels other than the plain one */
    SMG_BAD_WORKSPACE = -43, /* scratch too small for the input and the weights that the kernel gathers */
    SMG_LEFT_OUT = -44,      /* this build has no kernel for the kind: found */
    /* memory of operators */
    SMG_SCRATCH_OVERLAPS = -45, /* the scratch lies over an input or the output of its operator */
    SMG_STATUS_LIMIT = -46
};

enum smg_place { SMG_IN_HEADER = 0, SMG_IN_TENSOR = 1, SMG_IN_OPERATOR = 2 };

/* Why a blob was refused. found == expected where numbers say nothing. */
struct smg_fault {
    int64_t found;
    int64_t expected; /* the one value allowed, or the nearest limit */
    int32_t status;   /* enum smg_status */
    int32_t place;    /* enum smg_place: which record was being read */
    uint32_t index;   /* of the tensor or operator; 0 in the header */
};

/* A loaded model. The blob must stay where it is, unchanged, for as long as the model is used. */
struct smg_model {
    const uint8_t *blob;
    uint8_t *arena; /* null until smg_bind */
};

#define SMG_MESSAGE_BYTES 64 /* the longest message */

/* Writes one plain sentence for a status, without a full stop and without a zero at its end, and returns its length; the
 * same one for every status that does not exist. */
uint32_t smg_status_message(int status, char *text);

/* Checks every byte that running depends on. Time: a pass over the blob and over its weights, and tensor_count times
 * operator_count / 1024 steps.
 * blob: starts at a multiple of 4; what follows the blob's own length is ignored.
 * fault: may be null; filled in when the result is not SMG_OK. */
int smg_load(struct smg_model *model, const void *blob, size_t bytes, struct smg_fault *fault);

/* Gives the loaded model its memory: at least arena_bytes of the header, starting at a multiple of 4, not overlapping
 * the blob. */
int smg_bind(struct smg_model *model, void *arena, size_t arena_bytes);

/* Runs exactly one operator, 0 .. operator_count - 1. */
int smg_run_operator(const struct smg_model *model, uint32_t index);

static inline const struct smg_header *smg_header(const struct smg_model *model)
{
    return (const struct smg_header *)(const void *)model->blob;
}

/* index: 0 .. tensor_count - 1 */
static inline const struct smg_tensor_record *smg_tensor(const struct smg_model *model, uint32_t index)
{
    return (const struct smg_tensor_record *)(const void *)(model->blob + smg_header(model)->tensors_offset) + index;
}

/* index: 0 .. operator_count - 1 */
static inline const struct smg_operator_record *smg_operator(const struct smg_model *model, uint32_t index)
{
    const uint8_t *records = model->blob + smg_header(model)->operators_offset;
    return (const struct smg_operator_record *)(const void *)records + index;
}

/* Elements of a tensor of a loaded model: 1 .. 2^24 - 1. */
uint32_t smg_elements(const struct smg_tensor_record *tensor);

/* First element of a tensor of a loaded and bound model: in the arena, or in the blob for a constant. */
static inline const int8_t *smg_tensor_data(const struct smg_model *model, const struct smg_tensor_record *tensor)
{
    const uint8_t *base = (tensor->flags & SMG_CONSTANT) ? model->blob : model->arena;
    return (const int8_t *)(base + tensor->offset);
}

#endif
