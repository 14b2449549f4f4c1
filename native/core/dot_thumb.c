/* Dot products for ARMv6-M: compiled weights, and the frame that runs them.
 *
 * Compiled code of one or two output channels computes the sums of one pair of pixels:
 *
 *     for every four words: ldmia r6!, {r2-r5}; for each of them and each weight that is not zero:
 *         movs r7, #magnitude; muls r7, word; adds/subs accumulator, r7
 *     where the sum for pixel 0 might leave 16 bits, the accumulator (r0, r1) is unpacked into r8-r11
 *     bx lr
 *
 * r6: the pair's first word. r8, r9: the sums of the first channel for pixels 0 and 1; r10, r11: of the second.
 * The frame (run) presets the sums with the bias, calls the code, requantises the sums and stores the outputs, pair
 * by pair and row by row. Only instructions with an 8-bit operand are ever written, whatever the weights are.
 */
#include "dot.h"

#if SMG_THUMB_1

#include "thumb.h"

enum { R0, R1, R2, R3, R4, R5, R6, R7, R8 };
enum { ACCUMULATOR = R0, WORDS = R6, TEMPORARY = R7, SUMS = R8 };

#define NO_SEGMENT (-1024) /* room for magnitudes before the first segment: none, and less than any segment can have */
#define GROUP_ROOM 152  /* bytes that the code of four words and two channels, and what ends the code, can take */

/* How the sums of a channel become outputs, for `run`. The multiplier is high * 2^19 + low * 2^7, n = -shift within 1 .. 10:
 * products of high and low with a sum from -2^19 up to 2^19 - 1 fit 32 bits, and larger sums saturate (from 2^(9 + n) on,
 * because the multiplier is at least 2^30). */
struct requantization {
    uint32_t bias;
    uint32_t high;
    uint32_t low;
    uint32_t half;  /* of POSITIVE: both roundings and the zero point; of SIGNED: the second rounding and the zero point */
    uint32_t shift; /* last shift to the right; form in bits 8 and 9. Of CALL nothing but the form is used */
    int32_t highest;
    struct smg_channel channel;
};

enum form { POSITIVE = 0, SIGNED = 1, CALL = 2 };

/* A block of code starts with this; what is compiled follows. */
struct block {
    uint32_t bytes;
    uint32_t count;
    struct requantization channels[];
};

/* What the instructions for one channel's products are made of. emit_row knows where each field is. */
struct lane {
    const int8_t *weights; /* 0: of the next tap */
    int32_t room;          /* 4: for more magnitudes in the segment, of 255; NO_SEGMENT before the first */
    uint32_t add;          /* 8: adds accumulator, accumulator, r7 */
    uint16_t unpack[5];    /* 12: sum of pixel 0 += low half, sum of pixel 1 += high half */
    uint16_t load;         /* 22: movs accumulator, #0 */
    uint16_t negate;       /* 24: negs accumulator, accumulator */
    uint16_t multiply;     /* 26: muls accumulator, r2, less muls r7, r2, modulo 2^16 */
};

static void open_lane(struct lane *lane, uint32_t channel, const int8_t *weights)
{
    uint32_t accumulator = ACCUMULATOR + channel;
    uint32_t sums = SUMS + 2 * channel;
    lane->weights = weights;
    lane->room = NO_SEGMENT;
    lane->add = thumb_adds(accumulator, accumulator, TEMPORARY);
    lane->unpack[0] = thumb_sxth(TEMPORARY, accumulator);
    lane->unpack[1] = thumb_add_to_high(sums, TEMPORARY);
    lane->unpack[2] = thumb_subs(accumulator, accumulator, TEMPORARY);
    lane->unpack[3] = thumb_asrs(accumulator, accumulator, 16);
    lane->unpack[4] = thumb_add_to_high(sums + 1, accumulator);
    lane->load = thumb_movs_immediate(accumulator, 0);
    lane->negate = thumb_negs(accumulator, accumulator);
    lane->multiply = (uint16_t)(accumulator - TEMPORARY);
}

/* Rows of taps to be compiled. emit_rows knows the order of the fields. */
struct taps {
    struct lane *lanes;
    const uint16_t *end; /* of the room for code */
    uint32_t rows;
    uint32_t columns;
    uint32_t gap; /* bytes from the end of a row to the next one */
    const struct lane *lanes_end;
};

/* Instructions for the products of all taps, from `next` on. Returns where the next ones go, or null if there is no room.
 * For a weight: nothing if it is zero; else movs r7, #magnitude; muls r7, word; adds or subs accumulator, accumulator, r7.
 * If the magnitudes of the segment leave no room for it, the accumulator is unpacked and starts with this product. In
 * assembly because it runs once for each weight: 22 cycles for most, and 8 for the rest of it.
 *
 * r0 next; r1 the lane's add; r2 minus the words left of the group; r3 end of the group's weights; r4 room in the segment;
 * r5 muls r7, word; r8 movs r7, #0; r9 lanes_end; r10 lane; r11 muls r7, r2; r12 words of the group. Stack: lanes, end,
 * rows, columns, gap; and columns left on top of it. */
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
                   "ldr r4, [r1]\n"
                   "mov r9, r4\n"
                   "movs r4, #0x27\n"
                   "lsls r4, r4, #8\n"
                   "mov r8, r4\n"
                   "movs r4, #0x43\n"
                   "lsls r4, r4, #8\n"
                   "adds r4, #0x57\n"
                   "mov r11, r4\n"

                   "1: ldr r3, [sp, #4]\n" /* the next group; r2: columns left */
                   "subs r3, r3, r0\n"
                   "cmp r3, #152\n"
                   "blt 8f\n"
                   "movs r3, r2\n"
                   "cmp r3, #4\n"
                   "bls 2f\n"
                   "movs r3, #4\n"
                   "2: mov r12, r3\n"
                   "subs r2, r2, r3\n"
                   "push {r2}\n"
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
                   "ldmia r1!, {r3-r5}\n"
                   "movs r1, r5\n"
                   "mov r2, r12\n"
                   "adds r3, r3, r2\n"
                   "negs r2, r2\n"
                   "mov r5, r11\n"
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
                   "adds r1, #20\n"
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
                   "ldrh r4, [r1, #12]\n"
                   "strh r4, [r0]\n"
                   "ldrh r4, [r1, #14]\n"
                   "strh r4, [r0, #2]\n"
                   "ldrh r4, [r1, #16]\n"
                   "strh r4, [r0, #4]\n"
                   "ldrh r4, [r1, #18]\n"
                   "strh r4, [r0, #6]\n"
                   "ldrh r4, [r1, #20]\n"
                   "strh r4, [r0, #8]\n"
                   "adds r0, #10\n"
                   "7: ldrh r4, [r1, #22]\n"
                   "adds r4, r4, r6\n"
                   "strh r4, [r0]\n"
                   "ldrh r4, [r1, #26]\n"
                   "adds r4, r4, r5\n"
                   "strh r4, [r0, #2]\n"
                   "adds r0, #4\n"
                   "movs r4, #255\n"
                   "subs r4, r4, r6\n"
                   "ldrh r6, [r1, #24]\n"
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

/* The code of all taps; returns where it ends, or null if there is no room for it before `end`. */
static uint16_t *emit_taps(uint16_t *next, const uint16_t *end, const struct smg_dot *dot)
{
    struct lane lanes[2];
    struct taps taps = {lanes, end, dot->rows, dot->columns, 4 * (dot->row_words - dot->columns), lanes + dot->count};
    for (uint32_t channel = 0; channel < dot->count; ++channel) {
        open_lane(&lanes[channel], channel, dot->weights + channel * dot->rows * dot->columns);
    }
    next = emit_rows(next, &taps);
    if (next == NULL) {
        return NULL;
    }
    for (uint32_t channel = 0; channel < dot->count; ++channel) {
        for (uint32_t i = 0; i < 5 && lanes[channel].room != NO_SEGMENT; ++i) {
            *next++ = lanes[channel].unpack[i];
        }
    }
    *next++ = thumb_bx(14);
    return next;
}

static void plan_outputs(struct requantization *result, const struct smg_dot *dot, uint32_t index)
{
    const struct smg_step *step = dot->channels->step;
    struct smg_channel channel;
    smg_channels_read(dot->channels, dot->channel + index, &channel);
    uint32_t taps = dot->rows * dot->columns;
    const int8_t *weights = dot->weights + index * taps;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < taps; ++i) {
        sum += (uint32_t)(int32_t)weights[i];
    }
    result->channel = channel;
    result->highest = step->record->activation_max;
    result->bias = channel.bias - sum * (uint32_t)(int32_t)step->input->zero_point;
    uint32_t multiplier = (uint32_t)channel.multiplier;
    int32_t right = -channel.shift;
    if (right < 1 || right > 10 || multiplier >> 30 == 0 || multiplier % 128 != 0) {
        result->shift = CALL << 8;
        return;
    }
    int32_t zero_point = step->output->zero_point;
    bool positive = zero_point == step->record->activation_min && zero_point < 0;
    result->high = multiplier >> 19;
    result->low = multiplier >> 7 & 0xFFF;
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
    block->bytes = smg_align4((uint32_t)((uint8_t *)next - (uint8_t *)code));
    return block->bytes;
}

/* What `run` works with; it knows where each field is. Steps are in bytes. */
struct frame {
    const void *code;                            /* 0 */
    uint32_t words_step;                         /* 4: from the end of a pair's taps to the next pair */
    const uint32_t *end;                         /* 8: where the row's pairs end */
    int8_t *output;                              /* 12: of the next pair, first channel, pixel 0 */
    uint32_t distance;                           /* 16: from pixel 0 to pixel 1 */
    uint32_t output_step;                        /* 20: from the last channel of a pair to the first of the next */
    int32_t lowest;                              /* 24 */
    const struct smg_step *step;                 /* 28 */
    const struct requantization *requantization; /* 32: of the first channel, 36 bytes each */
    uint32_t count;                              /* 36: channels */
    const uint32_t *words;                       /* 40: the next pair's, while outputs are stored */
    uint32_t rows;                               /* 44: left, at least 1 */
    uint32_t row_step;                           /* 48: from the end of a row's pairs to the next row */
    uint32_t end_step;                           /* 52: from one row's end to the next one's */
    uint32_t output_row_step;                    /* 56: from where a row's outputs end to the next row's */
    uint32_t last_distance;                      /* 60: distance in the last row */
};

typedef char smg_assert_requantization[sizeof(struct requantization) == 36 ? 1 : -1];
typedef char smg_assert_frame[offsetof(struct frame, last_distance) == 60 ? 1 : -1];

/* r1 = the output for a sum; r2-r5 as struct requantization has them, r7 highest. Sums below 0 give the lowest output,
 * which is that of the zero point. 14 cycles for most. */
#define POSITIVE_OUTPUT(sum)                                                                                           \
    "mov r0, " sum "\n"                                                                                                \
    "lsrs r1, r0, #19\n"                                                                                               \
    "bne 11f\n"                                                                                                        \
    "movs r1, r0\n"                                                                                                    \
    "muls r1, r2\n"                                                                                                    \
    "muls r0, r3\n"                                                                                                    \
    "lsrs r0, r0, #12\n"                                                                                               \
    "adds r1, r1, r0\n"                                                                                                \
    "adds r1, r1, r4\n"                                                                                                \
    "asrs r1, r5\n"                                                                                                    \
    "cmp r1, r7\n"                                                                                                     \
    "ble 12f\n"                                                                                                        \
    "11: movs r1, r7\n"                                                                                                \
    "cmp r0, #0\n" /* neither shifts nor products have made it negative */                                             \
    "bge 12f\n"                                                                                                        \
    "mov r1, r12\n"                                                                                                    \
    "ldr r1, [r1, #24]\n"                                                                                              \
    "12:\n"

/* The same for any zero point: to the nearest at each step, halves away from zero at the second. */
#define SIGNED_OUTPUT(sum)                                                                                             \
    "mov r0, " sum "\n"                                                                                                \
    "asrs r1, r0, #19\n"                                                                                               \
    "adds r1, #1\n"                                                                                                    \
    "cmp r1, #1\n"                                                                                                     \
    "bhi 21f\n"                                                                                                        \
    "movs r1, r0\n"                                                                                                    \
    "muls r1, r2\n"                                                                                                    \
    "muls r0, r3\n"                                                                                                    \
    "asrs r0, r0, #12\n"                                                                                               \
    "adds r1, r1, r0\n"                                                                                                \
    "movs r0, #1\n"                                                                                                    \
    "lsls r0, r0, #11\n"                                                                                               \
    "adds r1, r1, r0\n"                                                                                                \
    "asrs r1, r1, #12\n"                                                                                               \
    "asrs r0, r1, #31\n"                                                                                               \
    "adds r1, r1, r0\n"                                                                                                \
    "adds r1, r1, r4\n"                                                                                                \
    "asrs r1, r5\n"                                                                                                    \
    "movs r0, r1\n"                                                                                                    \
    "21: cmp r0, r7\n" /* r0: a large sum, or the output before it is clamped */                                       \
    "ble 22f\n"                                                                                                        \
    "movs r0, r7\n"                                                                                                    \
    "22: mov r1, r12\n"                                                                                                \
    "ldr r1, [r1, #24]\n"                                                                                              \
    "cmp r0, r1\n"                                                                                                     \
    "ble 23f\n"                                                                                                        \
    "movs r1, r0\n"                                                                                                    \
    "23:\n"

/* Stores r1 as the output of pixel 1. */
#define STORE_PIXEL_1                                                                                                  \
    "mov r0, r12\n"                                                                                                    \
    "ldr r0, [r0, #16]\n"                                                                                              \
    "strb r1, [r6, r0]\n"

/* The outputs of one channel for the sums in r8 and r9. r6: of pixel 0; r7: struct requantization, from `high` on. */
#define OUTPUTS                                                                                                        \
    "ldmia r7!, {r2-r5}\n"                                                                                             \
    "lsrs r0, r5, #8\n"                                                                                                \
    "beq 13f\n"                                                                                                        \
    "bl 50f\n"                                                                                                         \
    "b 14f\n"                                                                                                          \
    "13: ldr r7, [r7]\n" POSITIVE_OUTPUT("r9") STORE_PIXEL_1 POSITIVE_OUTPUT("r8") "strb r1, [r6]\n"                   \
    "14: mov r7, r12\n"

/* Runs compiled code for all pairs that the frame names, from `words` on. r12, and r7 where it says nothing else: the
 * frame. For a single channel r10 is the output, and r11 the next pair's words while outputs are stored. */
__attribute__((naked)) static void run(SMG_READ_BY_ASSEMBLY struct frame *frame,
                                       SMG_READ_BY_ASSEMBLY const uint32_t *words)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "mov r4, r8\n"
                   "mov r5, r9\n"
                   "mov r6, r10\n"
                   "mov r7, r11\n"
                   "push {r4-r7}\n"
                   "mov r12, r0\n"
                   "movs r7, r0\n"
                   "movs r6, r1\n"
                   "dsb\n"
                   "isb\n"

                   "1: ldr r0, [r7, #36]\n" /* a row */
                   "cmp r0, #1\n"
                   "bne 2f\n"
                   "b 4f\n"
                   "2: ldr r5, [r7, #32]\n" /* two channels */
                   "ldr r0, [r5]\n"
                   "mov r8, r0\n"
                   "mov r9, r0\n"
                   "ldr r0, [r5, #36]\n"
                   "mov r10, r0\n"
                   "mov r11, r0\n"
                   "ldr r0, [r7]\n"
                   "blx r0\n"
                   "mov r7, r12\n"
                   "ldr r0, [r7, #4]\n"
                   "adds r6, r6, r0\n"
                   "str r6, [r7, #40]\n"
                   "ldr r6, [r7, #12]\n"
                   "ldr r7, [r7, #32]\n"
                   "adds r7, #4\n" OUTPUTS
                   "mov r8, r10\n"
                   "mov r9, r11\n"
                   "adds r6, #1\n"
                   "ldr r7, [r7, #32]\n"
                   "adds r7, #40\n" OUTPUTS
                   "ldr r0, [r7, #20]\n"
                   "adds r6, r6, r0\n"
                   "str r6, [r7, #12]\n"
                   "ldr r6, [r7, #40]\n"
                   "ldr r0, [r7, #8]\n"
                   "cmp r6, r0\n"
                   "bne 2b\n"

                   "3: ldr r0, [r7, #44]\n" /* the next row */
                   "subs r0, #1\n"
                   "beq 6f\n"
                   "str r0, [r7, #44]\n"
                   "cmp r0, #1\n"
                   "bne 7f\n"
                   "ldr r0, [r7, #60]\n"
                   "str r0, [r7, #16]\n"
                   "7:"
                   "ldr r0, [r7, #8]\n"
                   "ldr r1, [r7, #52]\n"
                   "adds r0, r0, r1\n"
                   "str r0, [r7, #8]\n"
                   "ldr r0, [r7, #12]\n"
                   "ldr r1, [r7, #56]\n"
                   "adds r0, r0, r1\n"
                   "str r0, [r7, #12]\n"
                   "ldr r0, [r7, #48]\n"
                   "adds r6, r6, r0\n"
                   "b 1b\n"

                   "4: ldr r0, [r7, #12]\n" /* one channel */
                   "mov r10, r0\n"
                   "5: ldr r5, [r7, #32]\n"
                   "ldr r0, [r5]\n"
                   "mov r8, r0\n"
                   "mov r9, r0\n"
                   "ldr r0, [r7]\n"
                   "blx r0\n"
                   "mov r7, r12\n"
                   "ldr r0, [r7, #4]\n"
                   "adds r6, r6, r0\n"
                   "mov r11, r6\n"
                   "mov r6, r10\n"
                   "ldr r7, [r7, #32]\n"
                   "adds r7, #4\n" OUTPUTS
                   "ldr r0, [r7, #20]\n"
                   "add r10, r0\n"
                   "mov r6, r11\n"
                   "ldr r0, [r7, #8]\n"
                   "cmp r6, r0\n"
                   "bne 5b\n"
                   "mov r0, r10\n"
                   "str r0, [r7, #12]\n"
                   "b 3b\n"

                   "6: pop {r4-r7}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "mov r10, r6\n"
                   "mov r11, r7\n"
                   "pop {r4-r7, pc}\n"

                   /* OUTPUTS for the other forms; r0: the form, r7: `highest` of struct requantization */
                   "50: cmp r0, #1\n"
                   "bne 51f\n"
                   "ldr r7, [r7]\n" SIGNED_OUTPUT("r9") STORE_PIXEL_1 SIGNED_OUTPUT("r8")
                   "strb r1, [r6]\n"
                   "bx lr\n"
                   "51: mov r0, r12\n"
                   "adds r7, #4\n" /* its struct smg_channel */
                   "push {r0, r6, r7, lr}\n"
                   "ldr r0, [r0, #28]\n"
                   "movs r1, r7\n"
                   "mov r2, r9\n"
                   "bl smg_channel_output\n"
                   "ldr r1, [sp]\n"
                   "ldr r1, [r1, #16]\n"
                   "strb r0, [r6, r1]\n"
                   "ldr r0, [sp]\n"
                   "ldr r0, [r0, #28]\n"
                   "movs r1, r7\n"
                   "mov r2, r8\n"
                   "bl smg_channel_output\n"
                   "strb r0, [r6]\n"
                   "pop {r0, r6, r7}\n"
                   "mov r12, r0\n"
                   "pop {pc}\n");
}

void smg_dot_run_code(const struct smg_dot *dot, const void *code, const struct smg_pairs *pairs)
{
    const struct block *block = code;
    struct frame frame;
    frame.code = (const uint8_t *)&block->channels[block->count] + 1; /* Thumb */
    frame.words_step = 4 * (dot->pair_words - ((dot->rows - 1) * dot->row_words + dot->columns));
    frame.end = pairs->words + pairs->count * dot->pair_words;
    frame.output = pairs->outputs;
    frame.distance = pairs->rows == 1 ? pairs->last_distance : pairs->distance;
    frame.last_distance = pairs->last_distance;
    frame.output_step = dot->output_step - (block->count - 1);
    frame.lowest = dot->channels->step->record->activation_min;
    frame.step = dot->channels->step;
    frame.requantization = block->channels;
    frame.count = block->count;
    frame.rows = pairs->rows;
    frame.row_step = 4 * (pairs->row_words - pairs->count * dot->pair_words);
    frame.end_step = 4 * pairs->row_words;
    frame.output_row_step = pairs->output_row_step - pairs->count * dot->output_step;
    run(&frame, pairs->words);
}

#endif
