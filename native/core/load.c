/* Checks a blob: header, sections and tensors. The operators follow in load_operator.c.
 *
 * Nothing is read before it is known to lie inside the buffer, sizes saturate or are compared by
 * subtraction, and what has been checked once is relied upon while running. */
#include "load.h"

int smg_refuse(const struct smg_loader *loader, int status, uint32_t found, uint32_t expected)
{
    loader->fault->status = status;
    loader->fault->found = found;
    loader->fault->expected = expected;
    return status;
}

int smg_refuse_signed(const struct smg_loader *loader, int status, int32_t found, int32_t expected)
{
    loader->fault->status = status;
    loader->fault->found = found;
    loader->fault->expected = expected;
    return status;
}

int smg_check_zero(const struct smg_loader *loader, uint32_t value)
{
    return value == 0 ? SMG_OK : smg_refuse(loader, SMG_NOT_ZERO, value, 0);
}

int smg_check_range(const struct smg_loader *loader, uint32_t offset, uint32_t bytes, uint32_t alignment)
{
    const struct smg_header *header = smg_header(loader->model);
    if (offset & (alignment - 1)) {
        return smg_refuse(loader, SMG_BAD_OFFSET, offset, offset & ~(alignment - 1));
    }
    if (offset < sizeof(*header)) {
        return smg_refuse(loader, SMG_OUTSIDE_BLOB, offset, sizeof(*header));
    }
    if (offset > header->blob_bytes || bytes > header->blob_bytes - offset) {
        return smg_refuse(loader, SMG_OUTSIDE_BLOB, smg_saturating_add(offset, bytes), header->blob_bytes);
    }
    return SMG_OK;
}

/* An optional section: its offset is 0 exactly when it is empty. */
static int check_section(const struct smg_loader *loader, uint32_t offset, uint32_t bytes)
{
    if (bytes == 0) {
        return smg_check_zero(loader, offset);
    }
    return smg_check_range(loader, offset, bytes, 1);
}

static int check_identity(const struct smg_loader *loader, size_t bytes)
{
    const struct smg_header *header = smg_header(loader->model);
    if (bytes < sizeof(*header)) {
        return smg_refuse(loader, SMG_TOO_SHORT, (uint32_t)bytes, sizeof(*header));
    }
    if (header->magic != SMG_MAGIC) {
        return smg_refuse(loader, SMG_BAD_MAGIC, 0, 0);
    }
    if (header->version != SMG_VERSION) {
        return smg_refuse(loader, SMG_BAD_VERSION, header->version, SMG_VERSION);
    }
    if (header->header_bytes != sizeof(*header)) {
        return smg_refuse(loader, SMG_BAD_LENGTH, header->header_bytes, sizeof(*header));
    }
    if (header->blob_bytes < sizeof(*header) || header->blob_bytes % 4 != 0) {
        return smg_refuse(loader, SMG_BAD_LENGTH, header->blob_bytes, header->blob_bytes & ~UINT32_C(3));
    }
    if (bytes < header->blob_bytes) {
        return smg_refuse(loader, SMG_TOO_SHORT, (uint32_t)bytes, header->blob_bytes);
    }
    const size_t crc_begin = offsetof(struct smg_header, arena_bytes);
    uint32_t crc = smg_crc32(loader->model->blob + crc_begin, header->blob_bytes - crc_begin);
    if (crc != header->crc32) {
        return smg_refuse(loader, SMG_BAD_CRC, crc, header->crc32);
    }
    return SMG_OK;
}

static int check_header(const struct smg_loader *loader)
{
    const struct smg_header *header = smg_header(loader->model);
    for (uint32_t i = 0; i < sizeof(header->zero); ++i) {
        if (header->zero[i] != 0) {
            return smg_check_zero(loader, header->zero[i]);
        }
    }
    if (header->arena_bytes >= SMG_MEMORY_LIMIT) {
        return smg_refuse(loader, SMG_TOO_LARGE, header->arena_bytes, SMG_MEMORY_LIMIT - 1);
    }
    if (header->scratch_bytes >= SMG_MEMORY_LIMIT) {
        return smg_refuse(loader, SMG_TOO_LARGE, header->scratch_bytes, SMG_MEMORY_LIMIT - 1);
    }
    if (header->operator_count == 0 || header->input_count == 0 || header->output_count == 0) {
        return smg_refuse(loader, SMG_BAD_COUNT, 0, 1);
    }
    uint32_t ends = (uint32_t)header->input_count + header->output_count;
    if (header->tensor_count < ends) {
        return smg_refuse(loader, SMG_BAD_COUNT, header->tensor_count, ends);
    }
    uint32_t bytes = header->tensor_count * sizeof(struct smg_tensor_record);
    int status = smg_check_range(loader, header->tensors_offset, bytes, 4);
    if (status == SMG_OK) {
        bytes = header->operator_count * sizeof(struct smg_operator_record);
        status = smg_check_range(loader, header->operators_offset, bytes, 4);
    }
    if (status == SMG_OK) {
        status = check_section(loader, header->metadata_offset, header->metadata_bytes);
    }
    return status;
}

static int check_shape(const struct smg_loader *loader, const struct smg_tensor_record *tensor)
{
    if (tensor->rank < 1 || tensor->rank > 4) {
        return smg_refuse(loader, SMG_BAD_SHAPE, tensor->rank, 4);
    }
    uint32_t elements = 1;
    for (uint32_t i = 0; i < 4; ++i) {
        uint32_t dimension = tensor->dimensions[i];
        if (dimension == 0 || (dimension != 1 && i + tensor->rank < 4)) {
            return smg_refuse(loader, SMG_BAD_SHAPE, dimension, 1);
        }
        elements = smg_saturating_multiply(elements, dimension);
    }
    if (elements >= SMG_MEMORY_LIMIT) {
        return smg_refuse(loader, SMG_TOO_LARGE, elements, SMG_MEMORY_LIMIT - 1);
    }
    return SMG_OK;
}

static int check_tensor(const struct smg_loader *loader, uint32_t index)
{
    const struct smg_header *header = smg_header(loader->model);
    const struct smg_tensor_record *tensor = smg_tensor(loader->model, index);
    int status = check_shape(loader, tensor);
    if (status != SMG_OK) {
        return status;
    }
    if (tensor->dtype != 1) {
        return smg_refuse(loader, SMG_BAD_DTYPE, tensor->dtype, 1);
    }
    if (tensor->flags > SMG_CONSTANT) {
        return smg_refuse(loader, SMG_NOT_ZERO, tensor->flags, SMG_CONSTANT);
    }
    /* Finite and above 0, told from the bits of the IEEE 754 single: 0x7F800000 is infinity. */
    if (tensor->scale_bits == 0 || tensor->scale_bits >= 0x7F800000) {
        return smg_refuse(loader, SMG_BAD_SCALE, 0, 0);
    }
    if (tensor->flags == SMG_CONSTANT) {
        if (index < (uint32_t)header->input_count + header->output_count) {
            return smg_refuse(loader, SMG_BAD_CONSTANT, 0, 0);
        }
        return smg_check_range(loader, tensor->offset, smg_elements(tensor), 1);
    }
    uint32_t end = smg_saturating_add(tensor->offset, smg_elements(tensor));
    if (end > header->arena_bytes) {
        return smg_refuse(loader, SMG_OUTSIDE_ARENA, end, header->arena_bytes);
    }
    return SMG_OK;
}

/* Every tensor that is neither an input nor a constant must be some operator's output. */
static int check_written(const struct smg_loader *loader)
{
    const struct smg_header *header = smg_header(loader->model);
    uint32_t written[32]; /* one bit for each tensor of a group, so that no memory is needed */
    const uint32_t group = sizeof(written) * 8;
    for (uint32_t first = 0; first < header->tensor_count; first += group) {
        for (uint32_t i = 0; i < group / 32; ++i) {
            written[i] = 0;
        }
        for (uint32_t k = 0; k < header->operator_count; ++k) {
            uint32_t place = smg_operator(loader->model, k)->output - first; /* wraps if below the group */
            if (place < group) {
                written[place / 32] |= UINT32_C(1) << place % 32;
            }
        }
        for (uint32_t i = 0; i < group && first + i < header->tensor_count; ++i) {
            bool needs_writer = first + i >= header->input_count && !(smg_tensor(loader->model, first + i)->flags);
            if (needs_writer && !(written[i / 32] >> i % 32 & 1)) {
                loader->fault->index = first + i;
                return smg_refuse(loader, SMG_NEVER_WRITTEN, 0, 0);
            }
        }
    }
    return SMG_OK;
}

static int check_golden(const struct smg_loader *loader)
{
    const struct smg_header *header = smg_header(loader->model);
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < (uint32_t)header->input_count + header->output_count; ++i) {
        bytes = smg_saturating_add(bytes, smg_elements(smg_tensor(loader->model, i)));
    }
    return check_section(loader, header->golden_offset, smg_saturating_multiply(bytes, header->golden_count));
}

static int check_all(struct smg_loader *loader, size_t bytes)
{
    const struct smg_model *model = loader->model;
    const struct smg_header *header = smg_header(model);
    struct smg_fault *fault = loader->fault;
    int status = check_identity(loader, bytes);
    if (status == SMG_OK) {
        status = check_header(loader);
    }
    if (status != SMG_OK) {
        return status;
    }
    fault->place = SMG_IN_TENSOR;
    for (uint32_t i = 0; i < header->tensor_count; ++i) {
        fault->index = i;
        status = check_tensor(loader, i);
        if (status != SMG_OK) {
            return status;
        }
    }
    /* Identical data may serve several operators, but not so many that a small blob takes minutes to check. */
    loader->work_left = smg_saturating_multiply(header->blob_bytes, 16);
    loader->scratch_bytes = 0;
    fault->place = SMG_IN_OPERATOR;
    for (uint32_t i = 0; i < header->operator_count; ++i) {
        fault->index = i;
        status = smg_check_operator(loader, smg_operator(model, i));
        if (status != SMG_OK) {
            return status;
        }
    }
    fault->place = SMG_IN_TENSOR;
    status = check_written(loader);
    if (status != SMG_OK) {
        return status;
    }
    fault->place = SMG_IN_HEADER;
    fault->index = 0;
    if (header->scratch_bytes != loader->scratch_bytes) {
        return smg_refuse(loader, SMG_BAD_SCRATCH, header->scratch_bytes, loader->scratch_bytes);
    }
    return check_golden(loader);
}

int smg_load(struct smg_model *model, const void *blob, size_t bytes, struct smg_fault *fault)
{
    struct smg_fault ignored;
    struct smg_loader loader;
    model->blob = blob;
    model->arena = NULL;
    loader.model = model;
    loader.fault = fault != NULL ? fault : &ignored;
    loader.fault->status = SMG_OK;
    loader.fault->place = SMG_IN_HEADER;
    loader.fault->index = 0;
    loader.fault->found = 0;
    loader.fault->expected = 0;
    if ((uintptr_t)blob % 4 != 0) {
        return smg_refuse(&loader, SMG_BAD_ALIGNMENT, (uintptr_t)blob % 4, 0);
    }
    return check_all(&loader, bytes);
}
