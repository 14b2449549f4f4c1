/* ADD as one linear function of both operands, kernel 1: see section 4 of docs/format.md.
 * An element is read before the one at the same place is written, so that the output may lie on an operand. */
#include "internal.h"

/* Neighbouring elements: output = clamp((x * factor + y * factor2 + offset) >> exponent). The pointers are to the ends of
 * the elements. The assembly knows the order of the fields. */
struct run {
    const int8_t *x;
    const int8_t *y;
    int32_t exponent;
    int32_t position; /* of the first element, seen from the end: below 0 */
    uint32_t factor;
    uint32_t factor2;
    uint32_t offset;
    int32_t lowest;
    int32_t highest;
    int8_t *output;
};

#if SMG_THUMB_1

/* 19 cycles an element. r0 x, r1 y, r2 exponent, r3 position, r4 factor, r5 factor2, r8 offset, r9 lowest, r12 highest,
 * lr output. For each element: r6, r7. */
__attribute__((naked, noinline)) static void add_run(SMG_READ_BY_ASSEMBLY const struct run *run)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "mov r4, r8\n"
                   "mov r5, r9\n"
                   "push {r4, r5}\n"
                   "ldr r7, [r0, #24]\n"
                   "mov r8, r7\n"
                   "ldr r7, [r0, #28]\n"
                   "mov r9, r7\n"
                   "ldr r7, [r0, #32]\n"
                   "mov r12, r7\n"
                   "ldr r7, [r0, #36]\n"
                   "mov lr, r7\n"
                   "ldm r0, {r0-r5}\n"

                   "1: ldrsb r6, [r0, r3]\n"
                   "muls r6, r4\n"
                   "add r6, r8\n"
                   "ldrsb r7, [r1, r3]\n"
                   "muls r7, r5\n"
                   "adds r6, r6, r7\n"
                   "asrs r6, r2\n"
                   "cmp r6, r9\n"
                   "blt 3f\n"
                   "cmp r6, r12\n"
                   "bgt 4f\n"
                   "2: mov r7, lr\n"
                   "strb r6, [r7, r3]\n"
                   "adds r3, #1\n"
                   "bne 1b\n"

                   "pop {r4, r5}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "pop {r4-r7, pc}\n"

                   "3: mov r6, r9\n"
                   "b 2b\n"
                   "4: mov r6, r12\n"
                   "b 2b\n");
}

#else

static void add_run(const struct run *run)
{
    for (int32_t i = run->position; i != 0; ++i) {
        int32_t sum = (int32_t)((uint32_t)run->x[i] * run->factor + (uint32_t)run->y[i] * run->factor2 + run->offset);
        int32_t value = sum >> run->exponent;
        value = value < run->lowest ? run->lowest : value;
        run->output[i] = (int8_t)(value > run->highest ? run->highest : value);
    }
}

#endif

void smg_linear_add(const struct smg_step *step)
{
    const struct smg_linear_add *add = smg_requantization_data(step);
    uint32_t repeat = step->record->parameters.broadcast.repeat;
    uint32_t elements2 = smg_elements(step->input2);
    uint32_t count = repeat == 1 ? elements2 : repeat;
    const int8_t *end = step->input_data + smg_elements(step->output);
    struct run run;
    run.x = step->input_data;
    run.y = step->input2_data + count;
    run.exponent = add->exponent;
    run.position = -(int32_t)count;
    run.factor = (uint32_t)add->factor;
    run.factor2 = (uint32_t)add->factor2;
    run.offset = (uint32_t)add->offset;
    run.lowest = step->record->activation_min;
    run.highest = step->record->activation_max;
    run.output = step->output_data;
    uint32_t i = 0;
    do {
        run.x += count;
        run.output += count;
        if (repeat != 1) { /* y is the same for all of the run: it becomes part of the offset */
            run.y = run.x;
            run.factor2 = 0;
            run.offset = (uint32_t)add->offset + (uint32_t)step->input2_data[i] * (uint32_t)add->factor2;
            i = i + 1 == elements2 ? 0 : i + 1;
        }
        add_run(&run);
    } while (run.x != end);
}
