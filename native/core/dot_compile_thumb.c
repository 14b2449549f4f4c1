/* Compiles weights to instructions of ARMv6-M. */
#include "dot_thumb.h"

#if SMG_THUMB_1

#define GROUP_ROOM 88      /* bytes that four weights of a lane and what ends the code can take */

/* What code a lane needs at the end of a segment. A lane is a channel, or one of two twins. emit_rows knows where the
 * fields are, and that lanes are 32 bytes apart. */
struct lane {
    uint16_t unpack[5];     /* 0: sum of pixel 0 += low half of the accumulator, sum of pixel 1 += high half */
    uint16_t load;          /* 10: movs accumulator, #0 */
    uint16_t unpack_odd[4]; /* 12: the last four of `unpack` once more, where they are words */
    uint16_t multiply;      /* 20: muls accumulator, word, less muls r7, word, modulo 2^16 */
    uint16_t negate;        /* 22: negs accumulator, accumulator */
    uint16_t add;           /* 24: adds accumulator, accumulator, r7 */
    uint16_t multiply_r2;   /* 26: muls r7, r2 */
    uint16_t first_r2;      /* 28: muls accumulator, r2 */
    uint16_t load_r2;       /* 30: ldr r2, [r6, #0] */
};

/* a: the accumulator, r0 or r1; s: the register of pixel 0's sum, less 8. The next register has pixel 1's. */
#define UNPACK_FIRST(a, s) 0xB200 | (a) << 3 | 7 /* sxth r7, a */
#define UNPACK_OTHERS(a, s)                                                                                            \
    0x4480 | 7 << 3 | (s),                 /* add s, r7 */                                                             \
        0x1A00 | 7 << 6 | (a) << 3 | (a),  /* subs a, a, r7 */                                                         \
        0x1000 | 16 << 6 | (a) << 3 | (a), /* asrs a, a, #16 */                                                        \
        0x4480 | (a) << 3 | ((s) + 1)      /* add s + 1, a */
#define LANE(a, s)                                                                                                     \
    {                                                                                                                  \
        {UNPACK_FIRST(a, s), UNPACK_OTHERS(a, s)}, 0x2000 | (a) << 8, {UNPACK_OTHERS(a, s)}, (uint16_t)((a) - 7),      \
            0x4240 | (a) << 3 | (a), 0x1800 | 7 << 6 | (a) << 3 | (a), 0x4357, 0x4350 | (a), 0x6832                    \
    }

static const struct lane lanes[2] __attribute__((aligned(4))) = {LANE(0, 0), LANE(1, 2)};

#define TWO_LANES (UINT32_C(1) << 31)

/* Rows of taps to be compiled. emit_rows knows where the fields are. */
struct taps {
    const uint16_t *last;     /* 0: where a lane's weights may begin at the latest */
    const int8_t *weights;    /* 4: of lane 0 */
    uint32_t distance;        /* 8: from there to lane 1's */
    const struct lane *lanes; /* 12 */
    uint32_t rows;            /* 16 */
    uint32_t columns;         /* 20: of a row */
    uint32_t gap;             /* 24: bytes from the end of a row's words to the next row */
    uint32_t more;            /* 28: words of a row besides its columns, and how far lane 1's words are from lane 0's */
    uint32_t two;             /* 32: TWO_LANES if there are two; more than that if most weights are zero */
};

/* The code of all taps, from `next` on; returns where it ends, or null if there is no room for it. For a weight:
 * nothing if it is zero; else movs r7, #magnitude; muls r7, word; adds or subs accumulator, accumulator, r7. If the
 * magnitudes of the segment leave no room for it, the accumulator is unpacked and starts with this product. In
 * assembly because it runs once for each weight: 18 cycles for a positive one, 23 for a negative one, some 30 more
 * for the first one of a segment, and 24 for what surrounds four weights of a lane.
 *
 * r0 next; r1 the lane's adds accumulator, accumulator, r7 (odd in lane 1); r2 minus the weights left of the group;
 * r3 end of the group's weights; r4 room in the segment; r5 muls r7, word; r8 movs r7, #0, and taps.two; r9
 * distance; r10 the other lane's room; r11 lanes; r12 SUBS less ADDS; lr last. Stack: r2 at the group's start; r5
 * there, in lane 0 and in lane 1; columns left; ldmia r6!, {r2-r5}; columns; rows left; gap; more.
 *
 * Sparse rows, of two channels, are compiled word by word: words that no weight needs are not loaded, the others one by
 * one with ldr r2, [r6, #distance]; r6 moves on by adds r6, #bytes where the distance would be above 124, and in the end
 * is behind the last row's words as ever. 11 cycles for a word of zeros, some 30 for another one and 28 for each product.
 * There r1 is the distance from r6, when the code runs, to the word of weight r2, less 4 * r2; r2 minus the weights left
 * of the row; r3 and r9 the end of the row's weights of lanes 0 and 1; r8 and r10 the room of the lanes' segments, -1
 * before the first one; r12 last. [sp, #28]: bytes from one row of words to the next. */
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
                   "sub sp, #36\n"
                   "ldmia r1!, {r2-r7}\n"
                   "mov lr, r2\n"
                   "mov r9, r4\n"
                   "mov r11, r5\n"
                   "str r7, [sp, #20]\n"
                   "str r7, [sp, #12]\n"
                   "str r6, [sp, #24]\n"
                   "ldmia r1!, {r4-r6}\n"
                   "lsls r2, r6, #1\n"
                   "beq 24f\n"
                   "b 30f\n"
                   "24:\n"
                   "str r4, [sp, #28]\n"
                   "str r5, [sp, #32]\n"
                   "movs r4, #0x27\n"
                   "lsls r4, r4, #8\n"
                   "orrs r4, r6\n"
                   "mov r8, r4\n"
                   "movs r4, #0x43\n"
                   "lsls r4, r4, #8\n"
                   "adds r4, #0x57\n"
                   "str r4, [sp, #4]\n"
                   "lsls r5, r5, #3\n"
                   "adds r4, r4, r5\n"
                   "str r4, [sp, #8]\n"
                   "movs r4, #0xCE\n"
                   "lsls r4, r4, #8\n"
                   "adds r4, #0x3C\n"
                   "str r4, [sp, #16]\n"
                   "movs r4, #2\n"
                   "lsls r4, r4, #8\n"
                   "mov r12, r4\n"
                   "movs r1, #0x19\n"
                   "lsls r1, r1, #8\n"
                   "adds r1, #0xC0\n"
                   "movs r4, #1\n"
                   "lsls r4, r4, #10\n"
                   "negs r4, r4\n"
                   "mov r10, r4\n"

                   "b 1f\n"
                   "13: adds r7, #4\n" /* the last group of a row is short, or there is none */
                   "bne 17f\n"
                   "b 14f\n"
                   "17: adds r3, r3, r7\n"
                   "negs r2, r7\n"
                   "str r2, [sp, #0]\n"
                   "ldr r5, [sp, #32]\n"
                   "adds r7, r7, r5\n"
                   "movs r5, #4\n"
                   "lsls r5, r7\n"
                   "subs r5, #0x40\n"
                   "adds r6, r6, r5\n"
                   "movs r7, #0\n"
                   "b 3f\n"

                   "1: movs r2, #4\n" /* a row */
                   "negs r2, r2\n"
                   "str r2, [sp, #0]\n"
                   "2: ldr r7, [sp, #12]\n" /* the next group */
                   "ldr r6, [sp, #16]\n"
                   "subs r7, #4\n"
                   "blt 13b\n"
                   "adds r3, #4\n"
                   "3: str r7, [sp, #12]\n"
                   "strh r6, [r0]\n"
                   "adds r0, #2\n"
                   "ldr r5, [sp, #4]\n"
                   "4: ldr r2, [sp, #0]\n" /* a lane's weights */
                   "cmp r0, lr\n"
                   "bhi 18f\n"

                   "5: ldrsb r6, [r3, r2]\n"
                   "cmp r6, #0\n"
                   "ble 7f\n"
                   "subs r4, r4, r6\n"
                   "blt 10f\n"
                   "add r6, r8\n"
                   "strh r6, [r0]\n"
                   "strh r5, [r0, #2]\n"
                   "strh r1, [r0, #4]\n"
                   "adds r0, #6\n"
                   "6: adds r5, #8\n" /* the next word */
                   "adds r2, #1\n"
                   "bne 5b\n"
                   "b 8f\n"
                   "7: beq 6b\n"
                   "adds r4, r4, r6\n"
                   "blt 10f\n"
                   "mov r7, r8\n"
                   "subs r7, r7, r6\n"
                   "strh r7, [r0]\n"
                   "strh r5, [r0, #2]\n"
                   "mov r7, r12\n"
                   "adds r7, r7, r1\n"
                   "strh r7, [r0, #4]\n"
                   "adds r0, #6\n"
                   "adds r5, #8\n"
                   "adds r2, #1\n"
                   "bne 5b\n"

                   "8: mov r6, r10\n"
                   "lsrs r7, r1, #1\n"
                   "bcs 9f\n"
                   "mov r7, r8\n"
                   "cmp r7, #0\n"
                   "bge 2b\n"
                   "mov r10, r4\n" /* lane 1 */
                   "movs r4, r6\n"
                   "add r3, r9\n"
                   "adds r1, #9\n"
                   "ldr r5, [sp, #8]\n"
                   "b 4b\n"
                   "9: mov r10, r4\n" /* back to lane 0 */
                   "movs r4, r6\n"
                   "mov r6, r9\n"
                   "subs r3, r3, r6\n"
                   "subs r1, #9\n"
                   "b 2b\n"

                   "10: lsls r1, r1, #31\n" /* the next segment */
                   "lsrs r1, r1, #26\n"
                   "add r1, r11\n"
                   "adds r4, #128\n"
                   "bmi 12f\n" /* it is the first one */
                   "lsls r4, r0, #30\n"
                   "bmi 11f\n"
                   "ldr r4, [r1, #0]\n"
                   "ldr r7, [r1, #4]\n"
                   "stmia r0!, {r4, r7}\n"
                   "ldrh r4, [r1, #8]\n"
                   "strh r4, [r0]\n"
                   "adds r0, #2\n"
                   "b 12f\n"
                   "11: ldrh r4, [r1, #0]\n"
                   "strh r4, [r0]\n"
                   "adds r0, #2\n"
                   "ldr r4, [r1, #12]\n"
                   "ldr r7, [r1, #16]\n"
                   "stmia r0!, {r4, r7}\n"
                   "12: asrs r7, r6, #31\n"
                   "eors r6, r7\n"
                   "subs r6, r6, r7\n"
                   "ldrh r4, [r1, #10]\n"
                   "adds r4, r4, r6\n"
                   "strh r4, [r0]\n"
                   "ldrh r4, [r1, #20]\n"
                   "adds r4, r4, r5\n"
                   "strh r4, [r0, #2]\n"
                   "adds r0, #4\n"
                   "movs r4, #255\n"
                   "subs r4, r4, r6\n"
                   "ldrh r6, [r1, #22]\n"
                   "ldrh r1, [r1, #24]\n"
                   "cmp r7, #0\n"
                   "beq 6b\n"
                   "strh r6, [r0]\n"
                   "adds r0, #2\n"
                   "b 6b\n"

                   "14: ldr r2, [sp, #24]\n" /* the next row */
                   "subs r2, #1\n"
                   "beq 19f\n"
                   "str r2, [sp, #24]\n"
                   "ldr r2, [sp, #20]\n"
                   "str r2, [sp, #12]\n"
                   "ldr r2, [sp, #28]\n"
                   "15: cmp r2, #0\n"
                   "beq 1b\n"
                   "cmp r0, lr\n"
                   "bhi 18f\n"
                   "movs r5, #252\n"
                   "cmp r2, r5\n"
                   "bhs 16f\n"
                   "movs r5, r2\n"
                   "16: subs r2, r2, r5\n"
                   "movs r6, #0x36\n" /* adds r6, #r5 */
                   "lsls r6, r6, #8\n"
                   "adds r6, r6, r5\n"
                   "strh r6, [r0]\n"
                   "adds r0, #2\n"
                   "b 15b\n"

                   "19: mov r5, r11\n" /* the end: what the lanes' last segments have, and bx lr */
                   "movs r6, r4\n"
                   "20: bl 23f\n"
                   "adds r5, #32\n"
                   "mov r6, r10\n"
                   "bl 23f\n"
                   "movs r3, #0x47\n"
                   "lsls r3, r3, #8\n"
                   "adds r3, #0x70\n"
                   "strh r3, [r0]\n"
                   "adds r0, #2\n"
                   "b 22f\n"
                   "18: movs r0, #0\n"
                   "22: add sp, #36\n"
                   "pop {r4-r7}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "mov r10, r6\n"
                   "mov r11, r7\n"
                   "pop {r4-r7, pc}\n"

                   /* Unpacks a lane r5 whose segment has room r6, if that is not below 0; uses r4. */
                   "23: cmp r6, #0\n"
                   "blt 37f\n"
                   "ldrh r4, [r5, #0]\n"
                   "strh r4, [r0]\n"
                   "ldrh r4, [r5, #2]\n"
                   "strh r4, [r0, #2]\n"
                   "ldrh r4, [r5, #4]\n"
                   "strh r4, [r0, #4]\n"
                   "ldrh r4, [r5, #6]\n"
                   "strh r4, [r0, #6]\n"
                   "ldrh r4, [r5, #8]\n"
                   "strh r4, [r0, #8]\n"
                   "adds r0, #10\n"
                   "37: bx lr\n"

                   "30: add r9, r3\n" /* sparse rows */
                   "mov r12, lr\n"
                   "lsls r1, r7, #2\n"
                   "adds r4, r4, r1\n"
                   "str r4, [sp, #28]\n"
                   "add r9, r7\n"
                   "adds r3, r3, r7\n"
                   "mov r4, r9\n"
                   "movs r2, #1\n"
                   "negs r2, r2\n"
                   "mov r8, r2\n"
                   "mov r10, r2\n"
                   "negs r2, r7\n"
                   "b 32f\n"

                   "31: adds r2, #1\n" /* a word */
                   "beq 35f\n"
                   "32: ldrsb r6, [r3, r2]\n"
                   "ldrsb r7, [r4, r2]\n"
                   "movs r5, r6\n"
                   "orrs r5, r7\n"
                   "beq 31b\n"
                   "lsls r5, r2, #2\n"
                   "adds r5, r5, r1\n"
                   "33: cmp r0, r12\n"
                   "bhi 18b\n"
                   "cmp r5, #124\n"
                   "bhi 34f\n"
                   "lsls r5, r5, #4\n"
                   "mov r4, r11\n"
                   "ldrh r4, [r4, #30]\n"
                   "adds r5, r5, r4\n"
                   "strh r5, [r0]\n"
                   "adds r0, #2\n"
                   "mov r5, r11\n"
                   "cmp r6, #0\n"
                   "beq 330f\n"
                   "mov r4, r8\n"
                   "bl 36f\n"
                   "mov r8, r4\n"
                   "330: mov r4, r9\n"
                   "ldrsb r6, [r4, r2]\n"
                   "cmp r6, #0\n"
                   "beq 31b\n"
                   "adds r5, #32\n"
                   "mov r4, r10\n"
                   "bl 36f\n"
                   "mov r10, r4\n"
                   "mov r4, r9\n"
                   "b 31b\n"

                   "34: movs r7, #252\n" /* r6 moves on */
                   "cmp r5, r7\n"
                   "bhs 340f\n"
                   "movs r7, r5\n"
                   "340: subs r1, r1, r7\n"
                   "subs r5, r5, r7\n"
                   "movs r4, #0x36\n" /* adds r6, #r7 */
                   "lsls r4, r4, #8\n"
                   "adds r4, r4, r7\n"
                   "strh r4, [r0]\n"
                   "adds r0, #2\n"
                   "cmp r2, #0\n"
                   "bne 33b\n"
                   "b 351f\n"

                   "35: ldr r5, [sp, #24]\n" /* the next row */
                   "subs r5, #1\n"
                   "beq 350f\n"
                   "str r5, [sp, #24]\n"
                   "ldr r2, [sp, #20]\n"
                   "adds r3, r3, r2\n"
                   "add r9, r2\n"
                   "mov r4, r9\n"
                   "negs r2, r2\n"
                   "ldr r5, [sp, #28]\n"
                   "adds r1, r1, r5\n"
                   "b 32b\n"
                   "350: movs r5, r1\n" /* the end: r6 goes behind the last word */
                   "351: cmp r5, #0\n"
                   "beq 352f\n"
                   "cmp r0, r12\n"
                   "bls 34b\n"
                   "b 18b\n"
                   "352: mov r5, r11\n"
                   "mov r6, r8\n"
                   "b 20b\n"

                   /* The product of weight r6 in lane r5, whose segment has room r4. */
                   "36: asrs r7, r6, #31\n"
                   "eors r6, r7\n"
                   "subs r6, r6, r7\n"
                   "subs r4, r4, r6\n"
                   "blt 38f\n"
                   "strb r6, [r0]\n"
                   "movs r6, #0x27\n"
                   "strb r6, [r0, #1]\n"
                   "ldrh r6, [r5, #26]\n"
                   "strh r6, [r0, #2]\n"
                   "ldrh r6, [r5, #24]\n"
                   "lsls r7, r7, #9\n"
                   "subs r6, r6, r7\n" /* subs instead of adds */
                   "strh r6, [r0, #4]\n"
                   "adds r0, #6\n"
                   "bx lr\n"
                   "38: push {r6, lr}\n" /* the next segment */
                   "adds r6, r6, r4\n"
                   "bl 23b\n"
                   "pop {r6}\n"
                   "ldrh r4, [r5, #10]\n"
                   "adds r4, r4, r6\n"
                   "strh r4, [r0]\n"
                   "ldrh r4, [r5, #28]\n"
                   "strh r4, [r0, #2]\n"
                   "adds r0, #4\n"
                   "movs r4, #255\n"
                   "subs r4, r4, r6\n"
                   "cmp r7, #0\n"
                   "beq 380f\n"
                   "ldrh r6, [r5, #22]\n"
                   "strh r6, [r0]\n"
                   "adds r0, #2\n"
                   "380: pop {pc}\n");
}

/* Whether a single channel computes two pairs at once. */
static bool are_twins(const struct smg_dot *dot)
{
    return dot->count == 1 && dot->row_pairs % 2 == 0 && dot->columns + dot->pair_words <= 4;
}

/* What to compile; last: as in struct taps. */
static void describe(struct taps *taps, const struct smg_dot *dot, bool twins, const uint16_t *last)
{
    uint32_t words = dot->columns;
    taps->last = last;
    taps->weights = dot->weights;
    taps->distance = dot->rows * words;
    taps->lanes = lanes;
    taps->rows = dot->rows;
    taps->columns = words;
    taps->more = 0;
    taps->two = 0;
    if (twins) {
        taps->distance = 0;
        taps->more = dot->pair_words;
        taps->two = TWO_LANES;
        words += taps->more;
    } else if (dot->count == 2) {
        taps->two = TWO_LANES | dot->channels->step->record->zero_runs;
    }
    taps->gap = 4 * (dot->row_words - words);
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
    bool positive = zero_point == INT8_MIN && step->record->activation_min == INT8_MIN && result->highest == INT8_MAX;
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
    if (positive) { /* sums below 0 give -128: both roundings are one */
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
    bool twins = are_twins(dot);
    struct taps taps;
    describe(&taps, dot, twins, (const uint16_t *)(void *)((uint8_t *)code + bytes - GROUP_ROOM));
    uint16_t *next = emit_rows(start, &taps);
    if (next == NULL) {
        return 0;
    }
    for (uint32_t i = 0; i < dot->count; ++i) {
        plan_outputs(&block->channels[i], dot, i);
    }
    block->count = (uint16_t)dot->count;
    block->pairs = twins ? 2 : 1;
    block->bytes = smg_align4((uint32_t)((uint8_t *)next - (uint8_t *)code));
    return block->bytes;
}

#endif
