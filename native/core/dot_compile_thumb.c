/* Compiles weights to instructions of ARMv6-M. */
#include "dot_thumb.h"

#if SMG_THUMB_1

#define GROUP_ROOM 88      /* bytes that four weights of a lane and what ends the code can take */

/* What code a lane needs at the end of a segment. A lane is a channel, or one of two twins. */
struct lane {
    uint16_t unpack[5]; /* 0: sum of pixel 0 += low half of the accumulator, sum of pixel 1 += high half */
    uint16_t load;      /* 10: movs accumulator, #0 */
    uint16_t negate;    /* 12: negs accumulator, accumulator */
    uint16_t multiply;  /* 14: muls accumulator, word, less muls r7, word, modulo 2^16 */
};

/* a: the accumulator, r0 or r1; s: the register of pixel 0's sum, less 8. The next register has pixel 1's. */
#define LANE(a, s)                                                                                                     \
    {                                                                                                                  \
        {                                                                                                              \
            0xB200 | (a) << 3 | 7,             /* sxth r7, a */                                                        \
            0x4480 | 7 << 3 | (s),             /* add s, r7 */                                                         \
            0x1A00 | 7 << 6 | (a) << 3 | (a),  /* subs a, a, r7 */                                                     \
            0x1000 | 16 << 6 | (a) << 3 | (a), /* asrs a, a, #16 */                                                    \
            0x4480 | (a) << 3 | ((s) + 1),     /* add s + 1, a */                                                      \
        },                                                                                                             \
            0x2000 | (a) << 8, 0x4240 | (a) << 3 | (a), (uint16_t)((a) - 7),                                           \
    }

static const struct lane lanes[2] = {LANE(0, 0), LANE(1, 2)};

/* Rows of taps to be compiled. emit_rows knows where the fields are. */
struct taps {
    const uint16_t *end;      /* 0: of the room for code */
    const int8_t *weights;    /* 4: of lane 0 */
    uint32_t distance;        /* 8: from there to lane 1's */
    const struct lane *lanes; /* 12 */
    uint32_t rows;            /* 16 */
    uint32_t columns;         /* 20: of a row */
    uint32_t gap;             /* 24: bytes from the end of a row's words to the next row */
    uint32_t more;            /* 28: words of a row besides its columns, and how far lane 1's words are from lane 0's */
    uint32_t two;             /* 32: 2^31 if there are two lanes, else 0 */
};

/* The code of all taps, from `next` on; returns where it ends, or null if there is no room for it.
 * For a weight: nothing if it is zero; else movs r7, #magnitude; muls r7, word; adds or subs accumulator, accumulator, r7.
 * If the magnitudes of the segment leave no room for it, the accumulator is unpacked and starts with this product. In
 * assembly because it runs once for each weight: 22 cycles for most, and 10 for the rest of it.
 *
 * r0 next; r1 the lane's adds accumulator, accumulator, r7 (odd in lane 1); r2 minus the weights left of the group; r3 end of
 * the group's weights; r4 room in the segment; r5 muls r7, word; r8 movs r7, #0, and taps.two; r9 distance; r10 the other
 * lane's room; r11 ldmia r6!, {r2-r5}; r12 muls r7, r2; lr end. Stack: columns left, lanes, rows, columns, gap, more, r2 at the
 * group's start. */
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
                   "sub sp, #28\n"
                   "ldmia r1!, {r2-r7}\n"
                   "mov lr, r2\n"
                   "mov r9, r4\n"
                   "str r5, [sp, #4]\n"
                   "str r6, [sp, #8]\n"
                   "str r7, [sp, #12]\n"
                   "str r7, [sp, #0]\n"
                   "ldmia r1!, {r4-r6}\n"
                   "str r4, [sp, #16]\n"
                   "str r5, [sp, #20]\n"
                   "movs r4, #0x27\n"
                   "lsls r4, r4, #8\n"
                   "orrs r4, r6\n"
                   "mov r8, r4\n"
                   "movs r4, #0xCE\n"
                   "lsls r4, r4, #8\n"
                   "adds r4, #0x3C\n"
                   "mov r11, r4\n"
                   "movs r4, #0x43\n"
                   "lsls r4, r4, #8\n"
                   "adds r4, #0x57\n"
                   "mov r12, r4\n"
                   "movs r1, #0x19\n"
                   "lsls r1, r1, #8\n"
                   "adds r1, #0xC0\n"
                   "movs r4, #1\n"
                   "lsls r4, r4, #10\n"
                   "negs r4, r4\n"
                   "mov r10, r4\n"

                   "1: ldr r2, [sp, #0]\n" /* the next group */
                   "cmp r2, #4\n"
                   "bge 2f\n"
                   "movs r7, r2\n"
                   "ldr r6, [sp, #20]\n"
                   "adds r6, r6, r7\n"
                   "movs r5, #4\n"
                   "lsls r5, r6\n"
                   "movs r6, #0x40\n"
                   "subs r5, r5, r6\n"
                   "add r5, r11\n"
                   "movs r6, r5\n"
                   "movs r2, #0\n"
                   "b 3f\n"
                   "2: subs r2, #4\n"
                   "movs r7, #4\n"
                   "mov r6, r11\n"
                   "3: str r2, [sp, #0]\n"
                   "strh r6, [r0]\n"
                   "adds r0, #2\n"
                   "adds r3, r3, r7\n"
                   "negs r2, r7\n"
                   "str r2, [sp, #24]\n"
                   "mov r5, r12\n"

                   "4: mov r6, lr\n" /* a lane's weights */
                   "subs r6, r6, r0\n"
                   "cmp r6, #88\n"
                   "blt 12f\n"
                   "5: ldrsb r6, [r3, r2]\n"
                   "asrs r7, r6, #31\n"
                   "eors r6, r7\n"
                   "subs r6, r6, r7\n"
                   "beq 6f\n"
                   "subs r4, r4, r6\n"
                   "blt 9f\n"
                   "add r6, r8\n"
                   "strh r6, [r0]\n"
                   "strh r5, [r0, #2]\n"
                   "lsls r7, r7, #9\n" /* ADDS + 0x200 is SUBS */
                   "subs r7, r1, r7\n"
                   "strh r7, [r0, #4]\n"
                   "adds r0, #6\n"
                   "6: adds r5, #8\n" /* the next word */
                   "adds r2, #1\n"
                   "bne 5b\n"
                   "lsrs r6, r1, #1\n"
                   "bcs 7f\n"
                   "mov r6, r8\n"
                   "cmp r6, #0\n"
                   "bge 8f\n"
                   "mov r6, r10\n" /* lane 1 */
                   "mov r10, r4\n"
                   "movs r4, r6\n"
                   "add r3, r9\n"
                   "adds r1, #9\n"
                   "ldr r5, [sp, #20]\n"
                   "lsls r5, r5, #3\n"
                   "add r5, r12\n"
                   "ldr r2, [sp, #24]\n"
                   "b 4b\n"
                   "7: mov r6, r10\n" /* back to lane 0 */
                   "mov r10, r4\n"
                   "movs r4, r6\n"
                   "mov r6, r9\n"
                   "subs r3, r3, r6\n"
                   "subs r1, #9\n"
                   "8: ldr r2, [sp, #0]\n"
                   "cmp r2, #0\n"
                   "bne 1b\n"

                   "ldr r2, [sp, #8]\n" /* the next row */
                   "subs r2, #1\n"
                   "beq 13f\n"
                   "str r2, [sp, #8]\n"
                   "ldr r2, [sp, #12]\n"
                   "str r2, [sp, #0]\n"
                   "ldr r2, [sp, #16]\n"
                   "14: cmp r2, #0\n"
                   "beq 1b\n"
                   "mov r6, lr\n"
                   "subs r6, r6, r0\n"
                   "cmp r6, #88\n"
                   "blt 12f\n"
                   "movs r5, #252\n"
                   "cmp r2, r5\n"
                   "bhs 15f\n"
                   "movs r5, r2\n"
                   "15: subs r2, r2, r5\n"
                   "movs r6, #0x36\n" /* adds r6, #r5 */
                   "lsls r6, r6, #8\n"
                   "adds r6, r6, r5\n"
                   "strh r6, [r0]\n"
                   "adds r0, #2\n"
                   "b 14b\n"

                   "9: push {r1, r2}\n" /* the next segment */
                   "ldr r2, [sp, #12]\n"
                   "lsrs r1, r1, #1\n"
                   "bcc 10f\n"
                   "adds r2, #16\n"
                   "10: asrs r4, r4, #9\n"
                   "adds r4, #1\n"
                   "bne 11f\n" /* it is the first one */
                   "ldrh r4, [r2, #0]\n"
                   "strh r4, [r0]\n"
                   "ldrh r4, [r2, #2]\n"
                   "strh r4, [r0, #2]\n"
                   "ldrh r4, [r2, #4]\n"
                   "strh r4, [r0, #4]\n"
                   "ldrh r4, [r2, #6]\n"
                   "strh r4, [r0, #6]\n"
                   "ldrh r4, [r2, #8]\n"
                   "strh r4, [r0, #8]\n"
                   "adds r0, #10\n"
                   "11: ldrh r4, [r2, #10]\n"
                   "adds r4, r4, r6\n"
                   "strh r4, [r0]\n"
                   "ldrh r4, [r2, #14]\n"
                   "adds r4, r4, r5\n"
                   "strh r4, [r0, #2]\n"
                   "adds r0, #4\n"
                   "movs r4, #255\n"
                   "subs r4, r4, r6\n"
                   "ldrh r6, [r2, #12]\n"
                   "pop {r1, r2}\n"
                   "cmp r7, #0\n"
                   "beq 6b\n"
                   "strh r6, [r0]\n"
                   "adds r0, #2\n"
                   "b 6b\n"

                   "13: ldr r2, [sp, #4]\n" /* the end: what the lanes' last segments have, and bx lr */
                   "cmp r4, #0\n"
                   "blt 16f\n"
                   "bl 19f\n"
                   "16: adds r2, #16\n"
                   "mov r4, r10\n"
                   "cmp r4, #0\n"
                   "blt 17f\n"
                   "bl 19f\n"
                   "17: movs r3, #0x47\n"
                   "lsls r3, r3, #8\n"
                   "adds r3, #0x70\n"
                   "strh r3, [r0]\n"
                   "adds r0, #2\n"
                   "b 18f\n"
                   "12: movs r0, #0\n"
                   "18: add sp, #28\n"
                   "pop {r4-r7}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "mov r10, r6\n"
                   "mov r11, r7\n"
                   "pop {r4-r7, pc}\n"

                   "19: ldrh r3, [r2, #0]\n"
                   "strh r3, [r0]\n"
                   "ldrh r3, [r2, #2]\n"
                   "strh r3, [r0, #2]\n"
                   "ldrh r3, [r2, #4]\n"
                   "strh r3, [r0, #4]\n"
                   "ldrh r3, [r2, #6]\n"
                   "strh r3, [r0, #6]\n"
                   "ldrh r3, [r2, #8]\n"
                   "strh r3, [r0, #8]\n"
                   "adds r0, #10\n"
                   "bx lr\n");
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
    struct taps taps;
    taps.end = end;
    taps.weights = dot->weights;
    taps.distance = twins ? 0 : dot->rows * dot->columns;
    taps.lanes = lanes;
    taps.rows = dot->rows;
    taps.columns = dot->columns;
    taps.more = twins ? dot->pair_words : 0;
    taps.gap = 4 * (dot->row_words - dot->columns - taps.more);
    taps.two = twins || dot->count == 2 ? UINT32_C(1) << 31 : 0;
    return emit_rows(next, &taps);
}

static void plan_outputs(struct requantization *result, const struct smg_dot *dot, uint32_t index)
{
    const struct smg_step *step = dot->channels->step;
    struct factors *factors = &result->numbers.factors;
    struct smg_channel channel;
    smg_channels_read(dot->channels, dot->channel + index, &channel);
    result->highest = step->record->activation_max;
    result->bias = channel.bias;
    uint32_t multiplier = (uint32_t)channel.multiplier;
    int32_t right = -channel.shift;
    int32_t zero_point = step->output->zero_point;
    bool positive = zero_point == step->record->activation_min && zero_point < 0;
    factors->high = multiplier >> 19;
    factors->low = multiplier >> 6 & 0x1FFF;
    if (!positive && factors->low > 0x1000) { /* to the nearest multiple of 2^19 */
        factors->high += 1;
        factors->low -= 0x2000;
    }
    bool fits = positive || factors->low != 0x1000;
    if (right < 1 || right > 10 || multiplier >> 30 == 0 || multiplier % 64 != 0 || !fits) {
        result->numbers.channel = channel;
        result->shift = CALL << 8;
        return;
    }
    if (positive) { /* sums below 0 give the zero point: both roundings are one */
        uint32_t bits = 12 + (uint32_t)right;
        factors->half = (UINT32_C(1) << 11) + (UINT32_C(1) << (bits - 1)) + ((uint32_t)zero_point << bits);
        result->shift = bits | POSITIVE << 8;
    } else {
        factors->half = (UINT32_C(1) << (right - 1)) + ((uint32_t)zero_point << right);
        result->shift = (uint32_t)right | SIGNED << 8;
    }
}

uint32_t smg_dot_compile(const struct smg_dot *dot, void *code, uint32_t bytes)
{
    struct block *block = code;
    uint32_t header = (uint32_t)(sizeof(*block) + dot->count * sizeof(block->channels[0]));
    if (bytes < header + GROUP_ROOM) {
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
    block->count = (uint16_t)dot->count;
    block->pairs = are_twins(dot) ? 2 : 1;
    block->bytes = smg_align4((uint32_t)((uint8_t *)next - (uint8_t *)code));
    return block->bytes;
}

#endif
