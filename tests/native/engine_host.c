/* Drives the engine from a pipe, so that tests can run thousands of cases in one process under the sanitizers.
 *
 * Request:  u32 command, u32 bytes, payload.   Answer: i32 result, u32 bytes, payload.   Little-endian.
 * host_engine.py is the other end and documents what each command means. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum command { LOAD = 1, RUN = 2, TENSOR = 3, TOUCHED = 4, MESSAGE = 5, BIND = 6, STEP = 7 };

/* Results besides those of the engine. */
enum result { TOO_MUCH_WORK = 1, NOT_LOADED = 2, BAD_REQUEST = 3, GUARD_DAMAGED = 4 };

#define GUARD_BYTES 64
#define GUARD_VALUE 0xC5

struct memory {
    uint8_t *block;
    uint8_t *bytes; /* between two guards */
    size_t count;
};

static struct smg_model model;
static struct smg_fault fault;
static uint8_t *blob_block; /* exactly as long as the blob, so that the address sanitizer sees reads outside */
static bool loaded;
static struct memory arena;

static void fail(const char *why)
{
    fprintf(stderr, "engine_host: %s\n", why);
    exit(2);
}

static void *allocate(size_t bytes)
{
    void *block = malloc(bytes ? bytes : 1);
    if (!block) {
        fail("out of memory");
    }
    return block;
}

static void answer(int32_t result, const void *payload, uint32_t bytes)
{
    if (fwrite(&result, 4, 1, stdout) != 1 || fwrite(&bytes, 4, 1, stdout) != 1 ||
        (bytes > 0 && fwrite(payload, 1, bytes, stdout) != bytes) || fflush(stdout)) {
        fail("cannot write the answer");
    }
}

static void memory_open(struct memory *memory, size_t count, int value)
{
    free(memory->block);
    memory->block = allocate(count + 2 * GUARD_BYTES);
    memory->bytes = memory->block + GUARD_BYTES;
    memory->count = count;
    memset(memory->block, GUARD_VALUE, count + 2 * GUARD_BYTES);
    memset(memory->bytes, value, count);
}

static bool memory_guards_intact(const struct memory *memory)
{
    for (size_t i = 0; i < GUARD_BYTES; ++i) {
        if (memory->block[i] != GUARD_VALUE || memory->bytes[memory->count + i] != GUARD_VALUE) {
            return false;
        }
    }
    return true;
}

/* payload: u32 skew (0 .. 3: how far from an aligned address to put the blob), the blob */
static void load(const uint8_t *payload, uint32_t bytes)
{
    uint32_t skew;
    loaded = false;
    if (bytes < 4) {
        answer(BAD_REQUEST, NULL, 0);
        return;
    }
    memcpy(&skew, payload, 4);
    skew %= 4;
    free(blob_block);
    blob_block = allocate((size_t)bytes - 4 + skew);
    memcpy(blob_block + skew, payload + 4, bytes - 4);
    int status = smg_load(&model, blob_block + skew, bytes - 4, &fault);
    loaded = status == SMG_OK;
    struct {
        int64_t found, expected;
        int32_t place;
        uint32_t index;
    } reply = {fault.found, fault.expected, fault.place, fault.index};
    if (fault.status != status) {
        fail("fault and result differ");
    }
    answer(status, &reply, sizeof(reply));
}

/* How long an operator takes, in multiplications or moves. */
static uint64_t operator_work(const struct smg_operator_record *record)
{
    const struct smg_tensor_record *input = smg_tensor(&model, record->input);
    const struct smg_tensor_record *output = smg_tensor(&model, record->output);
    uint64_t work = smg_elements(output);
    switch (record->kind) {
    case SMG_CONV_2D:
    case SMG_DEPTHWISE_CONV_2D:
    case SMG_FULLY_CONNECTED:
        return work * smg_weights_per_channel(record, input, output);
    case SMG_AVERAGE_POOL_2D:
    case SMG_MAX_POOL_2D: {
        uint64_t taps = (uint64_t)record->parameters.window.kernel_h * record->parameters.window.kernel_w;
        return work * (taps < smg_elements(input) ? taps : smg_elements(input));
    }
    default:
        return work + smg_elements(input);
    }
}

/* Runs the first `operators` operators on memory filled with `fill`. 0 or a result. */
static int execute(uint32_t operators, const uint8_t *inputs, uint32_t bytes, int fill)
{
    const struct smg_header *header = smg_header(&model);
    uint32_t expected = 0;
    for (uint32_t i = 0; i < header->input_count; ++i) {
        expected += smg_elements(smg_tensor(&model, i));
    }
    if (bytes != expected || operators > header->operator_count) {
        return BAD_REQUEST;
    }
    memory_open(&arena, header->arena_bytes, fill);
    int status = smg_bind(&model, arena.bytes, arena.count);
    for (uint32_t i = 0; i < header->input_count; ++i) {
        const struct smg_tensor_record *tensor = smg_tensor(&model, i);
        memcpy(arena.bytes + tensor->offset, inputs, smg_elements(tensor));
        inputs += smg_elements(tensor);
    }
    for (uint32_t k = 0; status == SMG_OK && k < operators; ++k) {
        status = smg_run_operator(&model, k);
    }
    if (status == SMG_OK && !memory_guards_intact(&arena)) {
        return GUARD_DAMAGED;
    }
    return status;
}

static bool too_much_work(uint64_t limit)
{
    uint64_t work = 0;
    for (uint32_t k = 0; k < smg_header(&model)->operator_count; ++k) {
        uint64_t more = operator_work(smg_operator(&model, k));
        work = more > UINT64_MAX - work ? UINT64_MAX : work + more;
    }
    return work > limit;
}

/* payload: u32 operators to run, u32 limit of work in units of 1024, the inputs. Answer: all outputs. */
static void run(const uint8_t *payload, uint32_t bytes)
{
    uint32_t operators;
    uint32_t limit;
    if (bytes < 8) {
        answer(BAD_REQUEST, NULL, 0);
        return;
    }
    memcpy(&operators, payload, 4);
    memcpy(&limit, payload + 4, 4);
    if (too_much_work((uint64_t)limit * 1024)) {
        answer(TOO_MUCH_WORK, NULL, 0);
        return;
    }
    int result = execute(operators, payload + 8, bytes - 8, 0xA5);
    if (result != 0) {
        answer(result, NULL, 0);
        return;
    }
    uint32_t count = 0;
    const struct smg_header *header = smg_header(&model);
    for (uint32_t i = 0; i < header->output_count; ++i) {
        count += smg_elements(smg_tensor(&model, header->input_count + i));
    }
    uint8_t *outputs = allocate(count);
    uint8_t *end = outputs;
    for (uint32_t i = 0; i < header->output_count; ++i) {
        const struct smg_tensor_record *tensor = smg_tensor(&model, header->input_count + i);
        memcpy(end, smg_tensor_data(&model, tensor), smg_elements(tensor));
        end += smg_elements(tensor);
    }
    answer(0, outputs, count);
    free(outputs);
}

/* payload: u32 index. Answer: the tensor's elements as they are in the arena now. */
static void tensor(const uint8_t *payload, uint32_t bytes)
{
    uint32_t index;
    if (bytes != 4) {
        answer(BAD_REQUEST, NULL, 0);
        return;
    }
    memcpy(&index, payload, 4);
    if (index >= smg_header(&model)->tensor_count || !model.arena) {
        answer(BAD_REQUEST, NULL, 0);
        return;
    }
    const struct smg_tensor_record *record = smg_tensor(&model, index);
    answer(0, smg_tensor_data(&model, record), smg_elements(record));
}

/* A copy of the memory and of which bytes differ from the fill. */
static uint32_t highest_touched(const uint8_t *first, uint8_t first_fill, const struct memory *second,
                                uint8_t second_fill)
{
    size_t count = second->count;
    while (count > 0 && first[count - 1] == first_fill && second->bytes[count - 1] == second_fill) {
        --count;
    }
    return (uint32_t)count;
}

/* payload: the inputs. Runs everything twice, on memory filled with different values.
 * Answer: u32 bytes of arena touched (counted from its start), u32 whether all outputs were equal. */
static void touched(const uint8_t *payload, uint32_t bytes)
{
    const struct smg_header *header = smg_header(&model);
    uint8_t *first_arena = NULL;
    uint32_t reply[2] = {0, 1};
    int result = execute(header->operator_count, payload, bytes, 0x5A);
    if (result == 0) {
        first_arena = allocate(arena.count);
        memcpy(first_arena, arena.bytes, arena.count);
        result = execute(header->operator_count, payload, bytes, 0xA5);
    }
    if (result == 0) {
        reply[0] = highest_touched(first_arena, 0x5A, &arena, 0xA5);
        for (uint32_t i = 0; i < header->output_count; ++i) {
            const struct smg_tensor_record *output = smg_tensor(&model, header->input_count + i);
            reply[1] &= !memcmp(first_arena + output->offset, arena.bytes + output->offset, smg_elements(output));
        }
    }
    answer(result, reply, result == 0 ? sizeof(reply) : 0);
    free(first_arena);
}

/* payload: i32 status. Answer: its message. */
static void message(const uint8_t *payload, uint32_t bytes)
{
    int32_t status;
    if (bytes != 4) {
        answer(BAD_REQUEST, NULL, 0);
        return;
    }
    memcpy(&status, payload, 4);
    char text[SMG_MESSAGE_BYTES];
    uint32_t length = smg_status_message(status, text);
    answer(0, text, length);
}

/* payload: u32 length of one block of memory; u32 offset and bytes of the arena in it; u32 whether the arena is the blob's memory instead. Answer: what smg_bind returns. */
static void bind(const uint8_t *payload, uint32_t bytes)
{
    uint32_t request[4];
    if (bytes != sizeof(request)) {
        answer(BAD_REQUEST, NULL, 0);
        return;
    }
    memcpy(request, payload, sizeof(request));
    model.arena = NULL;
    memory_open(&arena, request[0], 0);
    uint8_t *start = request[3] ? blob_block : arena.bytes;
    answer(smg_bind(&model, start + request[1], request[2]), NULL, 0);
}

/* payload: u32 operator. Answer: what smg_run_operator returns. */
static void step(const uint8_t *payload, uint32_t bytes)
{
    uint32_t index;
    if (bytes != 4) {
        answer(BAD_REQUEST, NULL, 0);
        return;
    }
    memcpy(&index, payload, 4);
    answer(smg_run_operator(&model, index), NULL, 0);
}

static void serve(uint32_t command, const uint8_t *payload, uint32_t bytes)
{
    if (command == LOAD) {
        load(payload, bytes);
    } else if (command == MESSAGE) {
        message(payload, bytes);
    } else if (!loaded) {
        answer(NOT_LOADED, NULL, 0);
    } else if (command == RUN) {
        run(payload, bytes);
    } else if (command == TENSOR) {
        tensor(payload, bytes);
    } else if (command == TOUCHED) {
        touched(payload, bytes);
    } else if (command == BIND) {
        bind(payload, bytes);
    } else if (command == STEP) {
        step(payload, bytes);
    } else {
        answer(BAD_REQUEST, NULL, 0);
    }
}

int main(void)
{
    uint32_t request[2];
    while (fread(request, sizeof(request), 1, stdin) == 1) {
        uint8_t *payload = allocate(request[1]);
        if (fread(payload, 1, request[1], stdin) != request[1]) {
            fail("request is cut short");
        }
        serve(request[0], payload, request[1]);
        free(payload);
    }
    free(arena.block);
    free(blob_block);
    return 0;
}
