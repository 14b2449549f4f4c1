/* Runs compiled dot products on ARMv6-M: pair by pair and row by row, the code computes the sums, and what is here
 * requantises them and stores the outputs. */
#include "dot_thumb.h"

#if SMG_THUMB_1

/* The stack of `run`: what it saves, and its parameters from the fifth on. */
#define FIRST_CHANNEL "[sp, #0]"
#define SECOND_CHANNEL "[sp, #4]"
#define CODE "[sp, #44]"
#define WORDS_STEP "[sp, #48]"
#define END "[sp, #52]"
#define FIRST_BIAS "[sp, #56]"
#define SECOND_BIAS "[sp, #60]"
#define COUNT "[sp, #64]"
#define OUTPUT_STEP "[sp, #68]"
#define DISTANCE "[sp, #72]"
#define LOWEST "[sp, #76]"
#define ROWS "[sp, #80]"
#define ROW_STEP "[sp, #84]"
#define END_STEP "[sp, #88]"
#define OUTPUT_ROW_STEP "[sp, #92]"
#define LAST_DISTANCE "[sp, #96]"
#define LANE_STEP "[sp, #100]"
#define LANES "[sp, #104]"
#define WORDS "[sp, #112]"
/* The same in what the general loop calls, and where that has saved six words. */
#define DISTANCE_1 "[sp, #76]"
#define LOWEST_1 "[sp, #80]"
#define DISTANCE_6 "[sp, #96]"
#define STEP_6 "[sp, #132]"

/* r1 = the output for a sum; r2-r5 as struct requantization has them, r7 highest. `other`: where it goes on for sums that
 * are negative or large, `high` for outputs above the highest. */
#define POSITIVE_OUTPUT(sum, other, high)                                                                              \
    "mov r0, " sum "\n"                                                                                                \
    "lsrs r1, r0, #19\n"                                                                                               \
    "bne " other "f\n"                                                                                                 \
    "movs r1, r0\n"                                                                                                    \
    "muls r1, r2\n"                                                                                                    \
    "muls r0, r3\n"                                                                                                    \
    "lsrs r0, r0, #13\n"                                                                                               \
    "adds r1, r1, r0\n"                                                                                                \
    "adds r1, r1, r4\n"                                                                                                \
    "asrs r1, r5\n"                                                                                                    \
    "cmp r1, r7\n"                                                                                                     \
    "bgt " high "f\n"

/* What POSITIVE_OUTPUT leaves out: sums below 0 give the lowest output, which is that of the zero point. */
#define CLAMPED_OUTPUT(other, high, back, lowest)                                                                        \
    other ": cmp r0, #0\n"                                                                                             \
    "bge " high "f\n"                                                                                                  \
    "ldr r1, " lowest "\n"                                                                                             \
    "b " back "b\n" high ": movs r1, r7\n"                                                                             \
    "b " back "b\n"

/* The outputs of one channel for the sums in r8 and r9. r6: of pixel 0; r2-r5, r7: struct requantization from `high` on. p:
 * digit that the labels start with. */
#define OUTPUTS(p, distance)                                                                                           \
    POSITIVE_OUTPUT("r9", p "1", p "2")                                                                                \
    p "3: ldr r0, " distance "\n"                                                                                      \
      "strb r1, [r6, r0]\n" POSITIVE_OUTPUT("r8", p "4", p "5") p "6: strb r1, [r6]\n"

/* What OUTPUTS leaves out. */
#define OTHER_OUTPUTS(p, lowest) CLAMPED_OUTPUT(p "1", p "2", p "3", lowest) CLAMPED_OUTPUT(p "4", p "5", p "6", lowest)

/* r1 = the output for a sum and any zero point: to the nearest at each step, halves away from zero at the second. */
#define SIGNED_OUTPUT(sum)                                                                                             \
    "mov r0, " sum "\n"                                                                                                \
    "asrs r1, r0, #19\n"                                                                                               \
    "adds r1, #1\n"                                                                                                    \
    "cmp r1, #1\n"                                                                                                     \
    "bhi 41f\n"                                                                                                        \
    "movs r1, r0\n"                                                                                                    \
    "muls r1, r2\n"                                                                                                    \
    "muls r0, r3\n"                                                                                                    \
    "asrs r0, r0, #13\n"                                                                                               \
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
    "41: cmp r0, r7\n" /* r0: a large sum, or the output before it is clamped */                                       \
    "ble 42f\n"                                                                                                        \
    "movs r0, r7\n"                                                                                                    \
    "42: ldr r1, " LOWEST_1 "\n"                                                                                       \
    "cmp r0, r1\n"                                                                                                     \
    "ble 43f\n"                                                                                                        \
    "movs r1, r0\n"                                                                                                    \
    "43:\n"

/* Runs compiled code for rows of pairs. Steps are in bytes.
 *
 * words: of the first pair. output: of its pixel 0, first channel. first, second: where the channels' struct
 * requantization has `high`. words_step: from the end of a pair's taps to the next pair. end: of the row's words. lanes:
 * channels or twins; count: the same if their form is POSITIVE, else 0. next_words: room for a word. output_step: from the last lane to the first one of the next pair. rows: at least
 * 1. row_step: from the end of a row's pairs to the next row. end_step: from one row's end to the next one's.
 * output_row_step: from where a row's outputs end to the next row's. distance: from pixel 0 to pixel 1; last_distance: in
 * the last row. lane_step: from one lane's output to the other's.
 *
 * r6: the pair's words, while outputs are stored the output; the other one is in r12 or lr, or on the stack. */
__attribute__((naked)) static void
run(SMG_READ_BY_ASSEMBLY const uint32_t *words, SMG_READ_BY_ASSEMBLY int8_t *output,
    SMG_READ_BY_ASSEMBLY const void *first, SMG_READ_BY_ASSEMBLY const void *second,
    SMG_READ_BY_ASSEMBLY const void *code, SMG_READ_BY_ASSEMBLY uint32_t words_step,
    SMG_READ_BY_ASSEMBLY const uint32_t *end, SMG_READ_BY_ASSEMBLY uint32_t first_bias,
    SMG_READ_BY_ASSEMBLY uint32_t second_bias, SMG_READ_BY_ASSEMBLY uint32_t count,
    SMG_READ_BY_ASSEMBLY uint32_t output_step, SMG_READ_BY_ASSEMBLY uint32_t distance,
    SMG_READ_BY_ASSEMBLY int32_t lowest, SMG_READ_BY_ASSEMBLY uint32_t rows, SMG_READ_BY_ASSEMBLY uint32_t row_step,
    SMG_READ_BY_ASSEMBLY uint32_t end_step, SMG_READ_BY_ASSEMBLY uint32_t output_row_step,
    SMG_READ_BY_ASSEMBLY uint32_t last_distance, SMG_READ_BY_ASSEMBLY uint32_t lane_step,
    SMG_READ_BY_ASSEMBLY uint32_t lanes, SMG_READ_BY_ASSEMBLY const struct smg_step *step,
    SMG_READ_BY_ASSEMBLY const uint32_t *next_words)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "mov r4, r8\n"
                   "mov r5, r9\n"
                   "mov r6, r10\n"
                   "mov r7, r11\n"
                   "push {r2-r7}\n"
                   "mov r12, r1\n"
                   "movs r6, r0\n"
                   "dsb\n"
                   "isb\n"

                   "1: ldr r0, " COUNT "\n" /* a row */
                   "cmp r0, #1\n"
                   "beq 3f\n"
                   "bhi 2f\n"
                   "b 50f\n"

                   "2: ldr r0, " FIRST_BIAS "\n" /* a pair, two channels */
                   "mov r8, r0\n"
                   "mov r9, r0\n"
                   "ldr r0, " SECOND_BIAS "\n"
                   "mov r10, r0\n"
                   "mov r11, r0\n"
                   "ldr r0, " CODE "\n"
                   "blx r0\n"
                   "ldr r0, " WORDS_STEP "\n"
                   "adds r6, r6, r0\n"
                   "mov lr, r6\n"
                   "mov r6, r12\n"
                   "ldr r7, " FIRST_CHANNEL "\n"
                   "ldmia r7, {r2-r5, r7}\n" OUTPUTS("1", DISTANCE)
                   "mov r8, r10\n"
                   "mov r9, r11\n"
                   "ldr r0, " LANE_STEP "\n"
                   "adds r6, r6, r0\n"
                   "ldr r7, " SECOND_CHANNEL "\n"
                   "ldmia r7, {r2-r5, r7}\n" OUTPUTS("2", DISTANCE)
                   "ldr r0, " OUTPUT_STEP "\n"
                   "adds r6, r6, r0\n"
                   "mov r12, r6\n"
                   "mov r6, lr\n"
                   "ldr r0, " END "\n"
                   "cmp r6, r0\n"
                   "bne 2b\n"
                   "b 4f\n"
                   OTHER_OUTPUTS("1", LOWEST)
                   OTHER_OUTPUTS("2", LOWEST)

                   "3: ldr r0, " FIRST_BIAS "\n" /* a pair, one channel */
                   "mov r8, r0\n"
                   "mov r9, r0\n"
                   "ldr r0, " CODE "\n"
                   "blx r0\n"
                   "ldr r0, " WORDS_STEP "\n"
                   "adds r6, r6, r0\n"
                   "mov lr, r6\n"
                   "mov r6, r12\n"
                   "ldr r7, " FIRST_CHANNEL "\n"
                   "ldmia r7, {r2-r5, r7}\n" OUTPUTS("3", DISTANCE)
                   "ldr r0, " OUTPUT_STEP "\n"
                   "add r12, r0\n"
                   "mov r6, lr\n"
                   "ldr r0, " END "\n"
                   "cmp r6, r0\n"
                   "bne 3b\n"

                   "4: ldr r0, " ROWS "\n" /* the next row */
                   "subs r0, #1\n"
                   "beq 6f\n"
                   "str r0, " ROWS "\n"
                   "cmp r0, #1\n"
                   "bne 5f\n"
                   "ldr r0, " LAST_DISTANCE "\n"
                   "str r0, " DISTANCE "\n"
                   "5: ldr r0, " END "\n"
                   "ldr r1, " END_STEP "\n"
                   "adds r0, r0, r1\n"
                   "str r0, " END "\n"
                   "ldr r0, " OUTPUT_ROW_STEP "\n"
                   "add r12, r0\n"
                   "ldr r0, " ROW_STEP "\n"
                   "adds r6, r6, r0\n"
                   "b 1b\n"
                   OTHER_OUTPUTS("3", LOWEST)

                   "6: add sp, #8\n"
                   "pop {r4-r7}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "mov r10, r6\n"
                   "mov r11, r7\n"
                   "pop {r4-r7, pc}\n"

                   "50: ldr r0, " FIRST_BIAS "\n" /* a pair, one or two lanes, any form */
                   "mov r8, r0\n"
                   "mov r9, r0\n"
                   "ldr r0, " SECOND_BIAS "\n"
                   "mov r10, r0\n"
                   "mov r11, r0\n"
                   "ldr r0, " CODE "\n"
                   "blx r0\n"
                   "ldr r0, " WORDS_STEP "\n"
                   "adds r6, r6, r0\n"
                   "str r6, " WORDS "\n"
                   "mov r6, r12\n"
                   "ldr r7, " FIRST_CHANNEL "\n"
                   "bl 8f\n"
                   "ldr r0, " LANES "\n"
                   "cmp r0, #1\n"
                   "beq 51f\n"
                   "mov r8, r10\n"
                   "mov r9, r11\n"
                   "ldr r0, " LANE_STEP "\n"
                   "adds r6, r6, r0\n"
                   "ldr r7, " SECOND_CHANNEL "\n"
                   "bl 8f\n"
                   "51: ldr r0, " OUTPUT_STEP "\n"
                   "adds r6, r6, r0\n"
                   "mov r12, r6\n"
                   "ldr r6, " WORDS "\n"
                   "ldr r0, " END "\n"
                   "cmp r6, r0\n"
                   "bne 50b\n"
                   "b 4b\n"

                   /* A channel's outputs in any form; r7: its struct requantization from `high` on, in r12 later. */
                   "8: mov r12, r7\n"
                   "push {lr}\n"
                   "ldmia r7, {r2-r5, r7}\n"
                   "lsrs r0, r5, #8\n"
                   "beq 52f\n"
                   "cmp r0, #1\n"
                   "bne 9f\n" SIGNED_OUTPUT("r9")
                   "ldr r0, " DISTANCE_1 "\n"
                   "strb r1, [r6, r0]\n" SIGNED_OUTPUT("r8")
                   "strb r1, [r6]\n"
                   "pop {pc}\n"
                   "52:" OUTPUTS("6", DISTANCE_1)
                   "pop {pc}\n"
                   OTHER_OUTPUTS("6", LOWEST_1)
                   "9: mov r7, r12\n"
                   "sub sp, #20\n"
                   "ldr r0, " STEP_6 "\n"
                   "movs r1, r7\n"
                   "mov r2, r9\n"
                   "bl smg_channel_output\n"
                   "ldr r1, " DISTANCE_6 "\n"
                   "strb r0, [r6, r1]\n"
                   "ldr r0, " STEP_6 "\n"
                   "movs r1, r7\n"
                   "mov r2, r8\n"
                   "bl smg_channel_output\n"
                   "strb r0, [r6]\n"
                   "add sp, #20\n"
                   "pop {pc}\n");
}

void smg_dot_run_code(const struct smg_dot *dot, const void *code, const struct smg_pairs *pairs)
{
    const struct block *block = code;
    const struct requantization *first = block->channels;
    const struct requantization *second = first + (block->count - 1);
    const struct smg_step *step = dot->channels->step;
    uint32_t pair_words = block->pairs * dot->pair_words;
    uint32_t output_step = block->pairs * dot->output_step;
    uint32_t more = block->pairs == 2 ? dot->pair_words : 0;
    uint32_t tap_words = (dot->rows - 1) * dot->row_words + dot->columns + more;
    uint32_t row_words = pairs->count * dot->pair_words;
    uint32_t lane_step = block->pairs == 2 ? dot->output_step : 1;
    uint32_t lanes = block->pairs * block->count;
    bool positive = (first->shift | second->shift) >> 8 == POSITIVE;
    run(pairs->words, pairs->outputs, &first->numbers, &second->numbers, (const uint8_t *)(second + 1) + 1 /* Thumb */,
        4 * (pair_words - tap_words), pairs->words + row_words, first->bias, second->bias, positive ? lanes : 0,
        output_step - (lanes - 1) * lane_step, pairs->rows == 1 ? pairs->last_distance : pairs->distance,
        step->record->activation_min, pairs->rows, 4 * (pairs->row_words - row_words), 4 * pairs->row_words,
        pairs->output_row_step - pairs->count * dot->output_step, pairs->last_distance, lane_step, lanes, step, NULL);
}

#endif
