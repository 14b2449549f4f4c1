/* Compiles weights to instructions of ARMv6-M. */
#include "dot_thumb.h"

#if SMG_THUMB_1

#define NO_SEGMENT (-1024) /* room for magnitudes before the first segment: none, and less than any segment can have */

/* What the instructions for one channel's products are made of. emit_rows knows where each field is. */
struct lane {
    const int8_t *weights; /* 0: of the next tap */
    int32_t room;          /* 4: for more magnitudes in the segment, of 255; NO_SEGMENT before the first */
    uint32_t add;          /* 8: adds accumulator, accumulator, r7 */
    uint32_t first;        /* 12: muls r7, the first word of a group */
    uint16_t unpack[5];    /* 16: sum of pixel 0 += low half, sum of pixel 1 += high half */
    uint16_t load;         /* 26: movs accumulator, #0 */
    uint16_t negate;       /* 28: negs accumulator, accumulator */
    uint16_t multiply;     /* 30: muls accumulator, r2, less muls r7, r2, modulo 2^16 */
};

#define MULS_R7_R2 0x4357

/* a: the accumulator, r0 or r1; s: the register of pixel 0's sum, less 8. The next register has pixel 1's. */
#define LANE(a, s)                                                                                                     \
    {                                                                                                                  \
        .room = NO_SEGMENT,                                                                                            \
        .add = 0x1800 | 7 << 6 | (a) << 3 | (a),                                                                       \
        .first = MULS_R7_R2,                                                                                           \
        .unpack =                                                                                                      \
            {                                                                                                          \
                0xB200 | (a) << 3 | 7,               /* sxth r7, a */                                                  \
                0x4480 | 7 << 3 | (s),               /* add s, r7 */                                                   \
                0x1A00 | 7 << 6 | (a) << 3 | (a),    /* subs a, a, r7 */                                               \
                0x1000 | 16 << 6 | (a) << 3 | (a),   /* asrs a, a, #16 */                                              \
                0x4480 | (a) << 3 | ((s) + 1),       /* add s + 1, a */                                                \
            },                                                                                                         \
        .load = 0x2000 | (a) << 8,                                                                                     \
        .negate = 0x4240 | (a) << 3 | (a),                                                                             \
        .multiply = (uint16_t)((a) - 7),                                                                               \
    }

#define BX_LR 0x4770

static const struct lane no_weights[2] = {LANE(0, 0), LANE(1, 2)};

/* Rows of taps to be compiled. emit_rows knows the order of the fields. */
struct taps {
    struct lane *lanes;
    const uint16_t *end; /* of the room for code */
    uint32_t rows;
    uint32_t columns;
    uint32_t gap; /* bytes from the end of a row's words to the next row */
    const struct lane *lanes_end;
    uint32_t more; /* words of a row besides its columns: for twins */
};

/* Instructions for the products of all taps, from `next` on. Returns where the next ones go, or null if there is no room.
 * For a weight: nothing if it is zero; else movs r7, #magnitude; muls r7, word; adds or subs accumulator, accumulator, r7.
 * If the magnitudes of the segment leave no room for it, the accumulator is unpacked and starts with this product. In
 * assembly because it runs once for each weight: 22 cycles for most, and 8 for the rest of it.
 *
 * r0 next; r1 the lane's add; r2 minus the taps left of the group; r3 end of the group's weights; r4 room in the segment;
 * r5 muls r7, word; r8 movs r7, #0; r9 lanes_end; r10 lane; r11 more; r12 taps of the group. Stack: lanes, end, rows,
 * columns, gap; and columns left on top of it. */
__attribute__((naked)) static uint16_t *emit_rows(SMG_READ_BY_ASSEMBLY uint16_t *next,
                                                  SMG_READ_BY_ASSEMBLY const struct taps *taps)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "mov r4, r8\n"
                   "mov r5, r9\n"
                   "mov r6, r10\n"
                   "mov r7, r11\n"
                   "push {r4-r7}\n"
                   "ldmia r1!, {r3-r7}\n"
                   "push {r3-r7}\n"
                   "movs r2, r6\n"
                   "ldmia r1!, {r4, r5}\n"
                   "mov r9, r4\n"
                   "mov r11, r5\n"
                   "movs r4, #0x27\n"
                   "lsls r4, r4, #8\n"
                   "mov r8, r4\n"

                   "1: ldr r3, [sp, #4]\n" /* the next group; r2: columns left */
                   "subs r3, r3, r0\n"
                   "cmp r3, #152\n" /* what four words, two channels and the end of the code can take */
                   "blt 8f\n"
                   "movs r3, r2\n"
                   "cmp r3, #4\n"
                   "bls 2f\n"
                   "movs r3, #4\n"
                   "2: mov r12, r3\n"
                   "subs r2, r2, r3\n"
                   "push {r2}\n"
                   "add r3, r11\n"
                   "movs r4, #4\n" /* ldmia r6!, {r2 ...} */
                   "lsls r4, r3\n"
                   "subs r4, #4\n"
                   "movs r5, #0xCE\n"
                   "lsls r5, r5, #8\n"
                   "adds r4, r4, r5\n"
                   "strh r4, [r0]\n"
                   "adds r0, #2\n"
                   "ldr r1, [sp, #4]\n"

                   "3: mov r10, r1\n" /* a lane's products */
                   "ldmia r1!, {r3-r6}\n"
                   "movs r1, r5\n"
                   "movs r5, r6\n"
                   "mov r2, r12\n"
                   "adds r3, r3, r2\n"
                   "negs r2, r2\n"
                   "4: ldrsb r6, [r3, r2]\n"
                   "asrs r7, r6, #31\n"
                   "eors r6, r7\n"
                   "subs r6, r6, r7\n"
                   "beq 5f\n"
                   "subs r4, r4, r6\n"
                   "blt 6f\n"
                   "add r6, r8\n"
                   "strh r6, [r0]\n"
                   "strh r5, [r0, #2]\n"
                   "lsls r7, r7, #9\n" /* ADDS + 0x200 is SUBS */
                   "subs r7, r1, r7\n"
                   "strh r7, [r0, #4]\n"
                   "adds r0, #6\n"
                   "5: adds r5, #8\n" /* the next word */
                   "adds r2, #1\n"
                   "bne 4b\n"
                   "mov r1, r10\n"
                   "stmia r1!, {r3, r4}\n"
                   "adds r1, #24\n"
                   "cmp r1, r9\n"
                   "bne 3b\n"
                   "pop {r2}\n"
                   "cmp r2, #0\n"
                   "bne 1b\n"

                   "ldr r2, [sp, #8]\n" /* the next row */
                   "subs r2, #1\n"
                   "beq 9f\n"
                   "str r2, [sp, #8]\n"
                   "ldr r2, [sp, #12]\n"
                   "ldr r3, [sp, #16]\n"
                   "movs r4, #252\n"
                   "10: cmp r3, #0\n"
                   "beq 1b\n"
                   "ldr r5, [sp, #4]\n"
                   "cmp r0, r5\n"
                   "bhs 8f\n"
                   "cmp r3, r4\n"
                   "bhs 11f\n"
                   "movs r4, r3\n"
                   "11: subs r3, r3, r4\n"
                   "movs r5, #0x36\n" /* adds r6, #r4 */
                   "lsls r5, r5, #8\n"
                   "adds r5, r5, r4\n"
                   "strh r5, [r0]\n"
                   "adds r0, #2\n"
                   "b 10b\n"

                   "6: mov r1, r10\n" /* the next segment */
                   "asrs r4, r4, #9\n"
                   "adds r4, #1\n"
                   "bne 7f\n" /* it is the first one */
                   "ldrh r4, [r1, #16]\n"
                   "strh r4, [r0]\n"
                   "ldrh r4, [r1, #18]\n"
                   "strh r4, [r0, #2]\n"
                   "ldrh r4, [r1, #20]\n"
                   "strh r4, [r0, #4]\n"
                   "ldrh r4, [r1, #22]\n"
                   "strh r4, [r0, #6]\n"
                   "ldrh r4, [r1, #24]\n"
                   "strh r4, [r0, #8]\n"
                   "adds r0, #10\n"
                   "7: ldrh r4, [r1, #26]\n"
                   "adds r4, r4, r6\n"
                   "strh r4, [r0]\n"
                   "ldrh r4, [r1, #30]\n"
                   "adds r4, r4, r5\n"
                   "strh r4, [r0, #2]\n"
                   "adds r0, #4\n"
                   "movs r4, #255\n"
                   "subs r4, r4, r6\n"
                   "ldrh r6, [r1, #28]\n"
                   "ldr r1, [r1, #8]\n"
                   "cmp r7, #0\n"
                   "beq 5b\n"
                   "strh r6, [r0]\n"
                   "adds r0, #2\n"
                   "b 5b\n"

                   "8: movs r0, #0\n"
                   "9: add sp, #20\n"
                   "pop {r4-r7}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "mov r10, r6\n"
                   "mov r11, r7\n"
                   "pop {r4-r7, pc}\n");
}

/* Whether a single channel computes two pairs at once. */
static bool are_twins(const struct smg_dot *dot)
{
    return dot->count == 1 && dot->row_pairs % 2 == 0 && dot->columns + dot->pair_words <= 4;
}

/* The code of all taps; returns where it ends, or null if there is no room for it before `end`. */
static uint16_t *emit_taps(uint16_t *next, const uint16_t *end, const struct smg_dot *dot)
{
    bool twins = are_twins(dot);
    uint32_t more = twins ? dot->pair_words : 0;
    uint32_t count = twins ? 2 : dot->count;
    uint32_t distance = twins ? 0 : dot->rows * dot->columns; /* from one lane's weights to the other's */
    struct lane lanes[2];
    struct taps taps = {lanes, end, dot->rows, dot->columns, 4 * (dot->row_words - dot->columns - more), lanes + count, more};
    for (uint32_t i = 0; i < count; ++i) {
        lanes[i] = no_weights[i];
        lanes[i].weights = dot->weights + i * distance;
        lanes[i].first += 8 * i * more;
    }
    next = emit_rows(next, &taps);
    if (next == NULL) {
        return NULL;
    }
    for (uint32_t lane = 0; lane < count; ++lane) {
        for (uint32_t i = 0; i < 5 && lanes[lane].room != NO_SEGMENT; ++i) {
            *next++ = lanes[lane].unpack[i];
        }
    }
    *next++ = BX_LR;
    return next;
}

static void plan_outputs(struct requantization *result, const struct smg_dot *dot, uint32_t index)
{
    const struct smg_step *step = dot->channels->step;
    struct smg_channel channel;
    smg_channels_read(dot->channels, dot->channel + index, &channel);
    result->channel = channel;
    result->highest = step->record->activation_max;
    result->bias = channel.bias;
    uint32_t multiplier = (uint32_t)channel.multiplier;
    int32_t right = -channel.shift;
    int32_t zero_point = step->output->zero_point;
    bool positive = zero_point == step->record->activation_min && zero_point < 0;
    result->high = multiplier >> 19;
    result->low = multiplier >> 6 & 0x1FFF;
    if (!positive && result->low > 0x1000) { /* to the nearest multiple of 2^19 */
        result->high += 1;
        result->low -= 0x2000;
    }
    bool fits = positive || result->low != 0x1000;
    if (right < 1 || right > 10 || multiplier >> 30 == 0 || multiplier % 64 != 0 || !fits) {
        result->shift = CALL << 8;
        return;
    }
    if (positive) { /* sums below 0 give the zero point: both roundings are one */
        uint32_t bits = 12 + (uint32_t)right;
        result->half = (UINT32_C(1) << 11) + (UINT32_C(1) << (bits - 1)) + ((uint32_t)zero_point << bits);
        result->shift = bits | POSITIVE << 8;
    } else {
        result->half = (UINT32_C(1) << (right - 1)) + ((uint32_t)zero_point << right);
        result->shift = (uint32_t)right | SIGNED << 8;
    }
}

uint32_t smg_dot_compile(const struct smg_dot *dot, void *code, uint32_t bytes)
{
    struct block *block = code;
    uint32_t header = (uint32_t)(sizeof(*block) + dot->count * sizeof(block->channels[0]));
    if (bytes < header) {
        return 0;
    }
    uint16_t *start = (uint16_t *)(void *)((uint8_t *)code + header);
    const uint16_t *end = (const uint16_t *)(void *)((uint8_t *)code + bytes);
    uint16_t *next = emit_taps(start, end, dot);
    if (next == NULL) {
        return 0;
    }
    for (uint32_t i = 0; i < dot->count; ++i) {
        plan_outputs(&block->channels[i], dot, i);
    }
    block->count = dot->count;
    block->pairs = are_twins(dot) ? 2 : 1;
    block->bytes = smg_align4((uint32_t)((uint8_t *)next - (uint8_t *)code));
    return block->bytes;
}

#endif
