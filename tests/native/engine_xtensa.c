/* Runs the engine as a Linux program for Xtensa, without a C library, under qemu-xtensa. test_xtensa.py builds it.
 *
 * Standard input: u32 bytes of the blob, the blob, then inputs of the network, one after the other until the end.
 * Standard output: the outputs for each. Exit code: 0, or a status of the engine without its sign, or 100 and above. */
#include "smidgen.h"

enum system_call { READ = 12, WRITE = 13, EXIT = 118 };
enum exit_code { CUT_SHORT = 100, TOO_LARGE = 101, NOT_WRITTEN = 102 };

static uint32_t blob[65536];
static uint32_t memory[65536]; /* the arena */

/* The kernel's convention: number and result in a2, arguments in a6, a3, a4. */
static int32_t call_system(enum system_call number, int32_t first, void *second, uint32_t third)
{
    register int32_t a2 __asm__("a2") = number;
    register int32_t a6 __asm__("a6") = first;
    register void *a3 __asm__("a3") = second;
    register uint32_t a4 __asm__("a4") = third;
    __asm__ volatile("syscall" : "+r"(a2) : "r"(a6), "r"(a3), "r"(a4) : "memory");
    return a2;
}

static _Noreturn void leave(int code)
{
    for (;;) {
        call_system(EXIT, code, NULL, 0);
    }
}

/* How many of `bytes` there were before the end of the input. */
static uint32_t read_all(void *buffer, uint32_t bytes)
{
    uint32_t done = 0;
    while (done < bytes) {
        int32_t count = call_system(READ, 0, (uint8_t *)buffer + done, bytes - done);
        if (count <= 0) {
            break;
        }
        done += (uint32_t)count;
    }
    return done;
}

static void write_all(const void *buffer, uint32_t bytes)
{
    if (call_system(WRITE, 1, (void *)(uintptr_t)buffer, bytes) != (int32_t)bytes) {
        leave(NOT_WRITTEN);
    }
}

static void check(int status)
{
    if (status != SMG_OK) {
        leave(-status);
    }
}

static void load(struct smg_model *model)
{
    uint32_t bytes;
    if (read_all(&bytes, 4) != 4) {
        leave(CUT_SHORT);
    }
    if (bytes > sizeof(blob)) {
        leave(TOO_LARGE);
    }
    if (read_all(blob, bytes) != bytes) {
        leave(CUT_SHORT);
    }
    check(smg_load(model, blob, bytes, NULL));
    const struct smg_header *header = smg_header(model);
    if (header->arena_bytes > sizeof(memory)) {
        leave(TOO_LARGE);
    }
    check(smg_bind(model, memory, sizeof(memory)));
}

static bool run(struct smg_model *model)
{
    const struct smg_header *header = smg_header(model);
    for (uint32_t i = 0; i < header->input_count; ++i) {
        const struct smg_tensor_record *tensor = smg_tensor(model, i);
        uint32_t bytes = smg_elements(tensor);
        uint32_t got = read_all((uint8_t *)memory + tensor->offset, bytes);
        if (got != bytes) {
            if (got != 0 || i != 0) {
                leave(CUT_SHORT);
            }
            return false;
        }
    }
    for (uint32_t k = 0; k < header->operator_count; ++k) {
        check(smg_run_operator(model, k));
    }
    for (uint32_t i = 0; i < header->output_count; ++i) {
        const struct smg_tensor_record *tensor = smg_tensor(model, header->input_count + i);
        write_all(smg_tensor_data(model, tensor), smg_elements(tensor));
    }
    return true;
}

void serve(void)
{
    struct smg_model model;
    load(&model);
    while (run(&model)) {
    }
    leave(0);
}

__asm__(".text\n.global _start\n_start:\n\tmovi a0, 0\n\tcall8 serve\n");

/* Of libgcc, for the processor that QEMU has: it computes the low half of a product only. */
uint64_t __umulsidi3(uint32_t a, uint32_t b)
{
    uint32_t low = (a & 0xFFFF) * (b & 0xFFFF);
    uint32_t middle = (a >> 16) * (b & 0xFFFF) + (low >> 16);
    uint32_t other = (a & 0xFFFF) * (b >> 16) + (middle & 0xFFFF);
    uint32_t high = (a >> 16) * (b >> 16) + (middle >> 16) + (other >> 16);
    return (uint64_t)high << 32 | (other << 16 | (low & 0xFFFF));
}

uint64_t __muldi3(uint64_t a, uint64_t b)
{
    uint32_t cross = (uint32_t)(a >> 32) * (uint32_t)b + (uint32_t)a * (uint32_t)(b >> 32);
    return __umulsidi3((uint32_t)a, (uint32_t)b) + ((uint64_t)cross << 32);
}
