/* Which kernel runs an operator, and running one. */
#include "internal.h"

#define KERNELS 2 /* ids of kernels are below */

/* Null for what is left out, so that nothing calls it and the linker does not take it. */
#define KERNEL(kind, run) (((uint32_t)(SMG_WITHOUT) >> (kind) & 1) ? NULL : (run))

/* The packager chooses the kernel, the engine only looks it up. Kernel 0 of every kind is the plain one, which also
 * defines what any other must compute. */
static smg_kernel *const kernels[SMG_KIND_LIMIT][KERNELS] = {
    [SMG_CONV_2D] = {KERNEL(SMG_CONV_2D, smg_conv_2d), KERNEL(SMG_CONV_2D, smg_conv_2d_pairs)},
    [SMG_DEPTHWISE_CONV_2D] = {KERNEL(SMG_DEPTHWISE_CONV_2D, smg_conv_2d),
                               KERNEL(SMG_DEPTHWISE_CONV_2D, smg_depthwise_conv_2d_pairs)},
    [SMG_FULLY_CONNECTED] = {KERNEL(SMG_FULLY_CONNECTED, smg_fully_connected),
                             KERNEL(SMG_FULLY_CONNECTED, smg_fully_connected_streamed)},
    [SMG_ADD] = {KERNEL(SMG_ADD, smg_add), KERNEL(SMG_ADD, smg_linear_add)},
    [SMG_MUL] = {KERNEL(SMG_MUL, smg_mul)},
    [SMG_AVERAGE_POOL_2D] = {KERNEL(SMG_AVERAGE_POOL_2D, smg_average_pool_2d)},
    [SMG_MAX_POOL_2D] = {KERNEL(SMG_MAX_POOL_2D, smg_max_pool_2d)},
    [SMG_MEAN] = {KERNEL(SMG_MEAN, smg_mean)},
    [SMG_PAD] = {KERNEL(SMG_PAD, smg_pad)},
    [SMG_COPY] = {KERNEL(SMG_COPY, smg_copy)},
    [SMG_LOOKUP] = {KERNEL(SMG_LOOKUP, smg_lookup)},
    [SMG_SOFTMAX] = {KERNEL(SMG_SOFTMAX, smg_softmax)},
};

smg_kernel *smg_find_kernel(uint32_t kind, uint32_t kernel)
{
    return kernel < KERNELS ? kernels[kind][kernel] : NULL;
}

uint32_t smg_elements(const struct smg_tensor_record *tensor)
{
    const uint16_t *dimensions = tensor->dimensions;
    return (uint32_t)dimensions[0] * dimensions[1] * dimensions[2] * dimensions[3];
}

int smg_bind(struct smg_model *model, void *arena, size_t arena_bytes)
{
    const struct smg_header *header = smg_header(model);
    if (arena_bytes < header->arena_bytes) {
        return SMG_SMALL_MEMORY;
    }
    uintptr_t begin = (uintptr_t)arena;
    uintptr_t blob = (uintptr_t)model->blob;
    if (begin % 4 != 0) {
        return SMG_BAD_ALIGNMENT;
    }
    if (begin < blob + header->blob_bytes && blob < begin + header->arena_bytes) {
        return SMG_SHARED_MEMORY;
    }
    model->arena = arena;
    return SMG_OK;
}

int smg_run_operator(const struct smg_model *model, uint32_t index)
{
    if (model->arena == NULL) {
        return SMG_NOT_BOUND;
    }
    if (index >= smg_header(model)->operator_count) {
        return SMG_BAD_OPERATOR;
    }
    const struct smg_operator_record *record = smg_operator(model, index);
    struct smg_step step;
    step.record = record;
    step.input = smg_tensor(model, record->input);
    step.input_data = smg_tensor_data(model, step.input);
    step.input2 = NULL;
    step.input2_data = NULL;
    if (record->input2 != SMG_NO_TENSOR) {
        step.input2 = smg_tensor(model, record->input2);
        step.input2_data = smg_tensor_data(model, step.input2);
    }
    step.output = smg_tensor(model, record->output);
    step.output_data = (int8_t *)model->arena + step.output->offset;
    step.blob = model->blob;
    step.scratch = model->arena + record->scratch_offset;
    smg_find_kernel(record->kind, record->kernel)(&step);
    return SMG_OK;
}
