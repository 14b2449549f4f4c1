/* What the files that check a blob share: load.c (header, tensors), load_operator.c, load_weights.c. */
#ifndef SMG_LOAD_H
#define SMG_LOAD_H

#include "internal.h"

enum smg_trait {
    SMG_HAS_CLAMP = 1,   /* an activation range */
    SMG_HAS_INPUT2 = 2,  /* a second operand */
    SMG_HAS_WEIGHTS = 4, /* weights and per-channel requantisation data */
    SMG_HAS_WINDOW = 8   /* slides a window: batch 1 */
};

/* What the kinds of operators have; indexed by kind. */
struct smg_kind_rules {
    uint8_t traits;
    uint8_t parameter_bytes;      /* the rest of the 16 is zero */
    uint8_t requantization_words; /* of 4 bytes, for kinds without per-channel data */
};

/* Checking a blob. */
struct smg_loader {
    const struct smg_model *model;
    struct smg_fault *fault;
    uint32_t work_left;     /* bytes of weights that may still be checked */
    uint32_t scratch_bytes; /* largest need of the operators so far */
    /* The operator under check, with the tensors it names. */
    const struct smg_operator_record *record;
    const struct smg_kind_rules *rules;
    const struct smg_tensor_record *input;
    const struct smg_tensor_record *input2;
    const struct smg_tensor_record *output;
};

/* Kernel 1 of FULLY_CONNECTED: section 6 of the format. */
static inline bool smg_is_streamed(const struct smg_operator_record *record)
{
    return record->kernel != 0 && record->kind == SMG_FULLY_CONNECTED;
}

/* Kernel 1 of the convolutions. Never where both convolutions are left out: then the linker need not take the band (band.c). */
static inline bool smg_is_pairs(const struct smg_operator_record *record)
{
    bool in_build = !smg_is_left_out(SMG_CONV_2D) || !smg_is_left_out(SMG_DEPTHWISE_CONV_2D);
    return in_build && record->kernel != 0 && record->kind < SMG_FULLY_CONNECTED;
}

/* All return 0 or the status that they have written to the fault. */
int smg_check_operator(struct smg_loader *loader, const struct smg_operator_record *record);
int smg_check_weights(struct smg_loader *loader);
int smg_check_requantization(const struct smg_loader *loader);

/* Whether `bytes` bytes at `offset` are aligned to `alignment` (a power of 2), inside the blob and behind the header. */
int smg_check_range(const struct smg_loader *loader, uint32_t offset, uint32_t bytes, uint32_t alignment);
int smg_check_zero(const struct smg_loader *loader, uint32_t value);

/* Write the fault and return its status. Sizes above 2^32 - 1 are given as that. */
int smg_refuse(const struct smg_loader *loader, int status, uint32_t found, uint32_t expected);
int smg_refuse_signed(const struct smg_loader *loader, int status, int32_t found, int32_t expected);

#endif
