/* Checks one operator record: fields, tensors, shapes. The tensors themselves have been checked before; weights and
 * requantisation data follow in load_weights.c. */
#include "load.h"

static const struct smg_kind_rules kinds[SMG_KIND_LIMIT] = {
    [SMG_CONV_2D] = {SMG_HAS_CLAMP | SMG_HAS_WEIGHTS | SMG_HAS_WINDOW, 16, 0},
    [SMG_DEPTHWISE_CONV_2D] = {SMG_HAS_CLAMP | SMG_HAS_WEIGHTS | SMG_HAS_WINDOW, 16, 0},
    [SMG_FULLY_CONNECTED] = {SMG_HAS_CLAMP | SMG_HAS_WEIGHTS, 0, 0},
    [SMG_ADD] = {SMG_HAS_CLAMP | SMG_HAS_INPUT2, 4, 6},
    [SMG_MUL] = {SMG_HAS_CLAMP | SMG_HAS_INPUT2, 4, 2},
    [SMG_AVERAGE_POOL_2D] = {SMG_HAS_CLAMP | SMG_HAS_WINDOW, 16, 0},
    [SMG_MAX_POOL_2D] = {SMG_HAS_CLAMP | SMG_HAS_WINDOW, 16, 0},
    [SMG_MEAN] = {0, 4, 2},
    [SMG_PAD] = {0, 12, 0},
    [SMG_COPY] = {0, 12, 0},
    [SMG_LOOKUP] = {0, 0, 0},
    [SMG_SOFTMAX] = {0, 0, 3},
};

static int check_tensors(struct smg_loader *loader)
{
    const struct smg_model *model = loader->model;
    const struct smg_operator_record *record = loader->record;
    uint32_t tensor_count = smg_header(model)->tensor_count;
    if (record->input >= tensor_count) {
        return smg_refuse(loader, SMG_BAD_TENSOR, record->input, tensor_count - 1);
    }
    if (record->output >= tensor_count) {
        return smg_refuse(loader, SMG_BAD_TENSOR, record->output, tensor_count - 1);
    }
    if (!(loader->rules->traits & SMG_HAS_INPUT2)) {
        if (record->input2 != SMG_NO_TENSOR) {
            return smg_refuse(loader, SMG_BAD_TENSOR, record->input2, SMG_NO_TENSOR);
        }
    } else if (record->input2 >= tensor_count) {
        return smg_refuse(loader, SMG_BAD_TENSOR, record->input2, tensor_count - 1);
    } else {
        loader->input2 = smg_tensor(model, record->input2);
    }
    loader->input = smg_tensor(model, record->input);
    loader->output = smg_tensor(model, record->output);
    if (record->output < smg_header(model)->input_count) {
        return smg_refuse(loader, SMG_INPUT_WRITTEN, 0, 0);
    }
    return loader->output->flags & SMG_CONSTANT ? smg_refuse(loader, SMG_BAD_CONSTANT, 0, 0) : SMG_OK;
}

static int check_fields(const struct smg_loader *loader)
{
    const struct smg_operator_record *record = loader->record;
    int32_t lowest = record->activation_min;
    int32_t highest = record->activation_max;
    if (lowest > highest) {
        return smg_refuse_signed(loader, SMG_BAD_CLAMP, lowest, highest);
    }
    if (!(loader->rules->traits & SMG_HAS_CLAMP) && (lowest != INT8_MIN || highest != INT8_MAX)) {
        bool low = lowest != INT8_MIN;
        return smg_refuse_signed(loader, SMG_BAD_CLAMP, low ? lowest : highest, low ? INT8_MIN : INT8_MAX);
    }
    int status = record->weights_coding == SMG_HUFFMAN ? SMG_OK : smg_check_zero(loader, record->zero_runs);
    if (status == SMG_OK && !smg_is_pairs(record)) {
        status = smg_check_zero(loader, record->workspace);
    }
    for (uint32_t i = loader->rules->parameter_bytes; status == SMG_OK && i < 16; ++i) {
        status = smg_check_zero(loader, record->parameters.bytes[i]);
    }
    return status;
}

/* One direction of a window. */
static int check_direction(const struct smg_loader *loader, uint32_t kernel, uint32_t stride, uint32_t dilation,
                           uint32_t pad, uint32_t input, uint32_t output)
{
    if (kernel == 0 || stride == 0 || dilation == 0) {
        return smg_refuse(loader, SMG_BAD_WINDOW, 0, 1);
    }
    if (!(loader->rules->traits & SMG_HAS_WEIGHTS) && dilation != 1) {
        return smg_refuse(loader, SMG_BAD_WINDOW, dilation, 1);
    }
    if (pad > (kernel - 1) * dilation) {
        return smg_refuse(loader, SMG_BAD_WINDOW, pad, (kernel - 1) * dilation);
    }
    /* The last window starts inside the input; both sides stay below 2^32. */
    if ((output - 1) * stride > input - 1 + pad) {
        return smg_refuse(loader, SMG_BAD_WINDOW, (output - 1) * stride, input - 1 + pad);
    }
    return SMG_OK;
}

static int check_window(const struct smg_loader *loader)
{
    const struct smg_window *window = &loader->record->parameters.window;
    const uint16_t *input = loader->input->dimensions;
    const uint16_t *output = loader->output->dimensions;
    int status = check_direction(loader, window->kernel_h, window->stride_h, window->dilation_h, window->pad_top,
                                 input[1], output[1]);
    if (status == SMG_OK && loader->record->kernel != 0 && window->dilation_w != 1) {
        status = smg_refuse(loader, SMG_BAD_WINDOW, window->dilation_w, 1);
    }
    if (status == SMG_OK) {
        status = check_direction(loader, window->kernel_w, window->stride_w, window->dilation_w, window->pad_left,
                                 input[2], output[2]);
    }
    return status;
}

static int check_batch(const struct smg_loader *loader)
{
    uint32_t input = loader->input->dimensions[0];
    uint32_t output = loader->output->dimensions[0];
    return input != 1 || output != 1 ? smg_refuse(loader, SMG_BAD_BATCH, input != 1 ? input : output, 1) : SMG_OK;
}

static int check_equal(const struct smg_loader *loader, uint32_t found, uint32_t expected)
{
    if (found == expected) {
        return SMG_OK;
    }
    return smg_refuse(loader, SMG_BAD_SIZE, found, expected);
}

static int check_divides(const struct smg_loader *loader, int status, uint32_t divisor, uint32_t value)
{
    bool divides = divisor != 0 && smg_divide(value, divisor) * divisor == value;
    return divides ? SMG_OK : smg_refuse(loader, status, divisor, value);
}

static int check_broadcast(const struct smg_loader *loader)
{
    uint32_t repeat = loader->record->parameters.broadcast.repeat;
    uint32_t elements = smg_elements(loader->output);
    int status = check_equal(loader, smg_elements(loader->input), elements);
    if (status == SMG_OK) {
        status = check_divides(loader, SMG_BAD_PARAMETER, repeat, elements);
    }
    if (status == SMG_OK) {
        status = check_divides(loader, SMG_BAD_SIZE, smg_elements(loader->input2), smg_divide(elements, repeat));
    }
    return status;
}

static int check_mean(const struct smg_loader *loader)
{
    uint32_t outputs = smg_elements(loader->output);
    uint32_t inputs = smg_elements(loader->input);
    int status = check_divides(loader, SMG_BAD_SIZE, outputs, inputs);
    if (status == SMG_OK) {
        status = check_divides(loader, SMG_BAD_PARAMETER, loader->record->parameters.mean.inner, outputs);
    }
    if (status == SMG_OK && smg_divide(inputs, outputs) >= UINT32_C(1) << 23) {
        status = smg_refuse(loader, SMG_BAD_SIZE, smg_divide(inputs, outputs), (UINT32_C(1) << 23) - 1);
    }
    return status;
}

static int check_pad(const struct smg_loader *loader)
{
    const struct smg_pad *pad = &loader->record->parameters.pad;
    const uint16_t *input = loader->input->dimensions;
    const uint16_t *output = loader->output->dimensions;
    int status = check_batch(loader);
    if (status == SMG_OK) {
        status = check_equal(loader, output[1], (uint32_t)input[1] + pad->before_h + pad->after_h);
    }
    if (status == SMG_OK) {
        status = check_equal(loader, output[2], (uint32_t)input[2] + pad->before_w + pad->after_w);
    }
    if (status == SMG_OK) {
        status = check_equal(loader, output[3], (uint32_t)input[3] + pad->before_c + pad->after_c);
    }
    return status;
}

static int check_copy(const struct smg_loader *loader)
{
    const struct smg_copy *copy = &loader->record->parameters.copy;
    uint32_t elements = smg_elements(loader->input);
    int status = check_divides(loader, SMG_BAD_PARAMETER, copy->chunk, elements);
    if (status != SMG_OK) {
        return status;
    }
    if (copy->start > copy->stride || copy->chunk > copy->stride - copy->start) {
        return smg_refuse(loader, SMG_BAD_PARAMETER, smg_saturating_add(copy->start, copy->chunk), copy->stride);
    }
    return check_equal(loader, smg_elements(loader->output),
                       smg_saturating_multiply(smg_divide(elements, copy->chunk), copy->stride));
}

static int check_softmax(const struct smg_loader *loader)
{
    int32_t zero_point = loader->output->zero_point;
    int status = check_equal(loader, smg_elements(loader->input), smg_elements(loader->output));
    if (status == SMG_OK) {
        status = check_equal(loader, loader->input->dimensions[3], loader->output->dimensions[3]);
    }
    if (status == SMG_OK && loader->input->dimensions[3] >= SMG_SOFTMAX_LIMIT) {
        status = smg_refuse(loader, SMG_BAD_SIZE, loader->input->dimensions[3], SMG_SOFTMAX_LIMIT - 1);
    }
    if (status == SMG_OK && zero_point != INT8_MIN) {
        status = smg_refuse_signed(loader, SMG_BAD_ZERO_POINT, zero_point, INT8_MIN);
    }
    return status;
}

static int check_shapes(const struct smg_loader *loader)
{
    uint32_t inputs = smg_elements(loader->input);
    uint32_t outputs = smg_elements(loader->output);
    uint32_t input_channels = loader->input->dimensions[3];
    uint32_t output_channels = loader->output->dimensions[3];
    if (loader->rules->traits & SMG_HAS_WINDOW) {
        int status = check_batch(loader);
        if (status == SMG_OK) {
            status = check_window(loader);
        }
        if (status != SMG_OK) {
            return status;
        }
    }
    switch (loader->record->kind) {
    case SMG_CONV_2D:
        return SMG_OK; /* any shapes: the length of the weights follows from them */
    case SMG_DEPTHWISE_CONV_2D:
        return check_divides(loader, SMG_BAD_SIZE, input_channels, output_channels);
    case SMG_FULLY_CONNECTED:
        return check_divides(loader, SMG_BAD_SIZE, smg_divide(outputs, output_channels), inputs);
    case SMG_ADD:
    case SMG_MUL:
        return check_broadcast(loader);
    case SMG_AVERAGE_POOL_2D:
    case SMG_MAX_POOL_2D:
        return check_equal(loader, input_channels, output_channels);
    case SMG_MEAN:
        return check_mean(loader);
    case SMG_PAD:
        return check_pad(loader);
    case SMG_COPY:
        return check_copy(loader);
    case SMG_LOOKUP:
        return check_equal(loader, inputs, outputs);
    default:
        return check_softmax(loader);
    }
}

int smg_check_operator(struct smg_loader *loader, const struct smg_operator_record *record)
{
    if (record->kind == 0 || record->kind >= SMG_KIND_LIMIT) {
        return smg_refuse(loader, SMG_BAD_KIND, record->kind, SMG_KIND_LIMIT - 1);
    }
    if (smg_is_left_out(record->kind)) {
        return smg_refuse(loader, SMG_LEFT_OUT, record->kind, record->kind);
    }
    if (smg_find_kernel(record->kind, record->kernel) == NULL) {
        return smg_refuse(loader, SMG_BAD_KERNEL, record->kernel, 0);
    }
    loader->record = record;
    loader->rules = &kinds[record->kind];
    loader->input2 = NULL;
    int status = check_tensors(loader);
    if (status == SMG_OK) {
        status = check_fields(loader);
    }
    if (status == SMG_OK) {
        status = check_shapes(loader);
    }
    if (status == SMG_OK) {
        status = smg_check_weights(loader);
    }
    return status == SMG_OK ? smg_check_requantization(loader) : status;
}
