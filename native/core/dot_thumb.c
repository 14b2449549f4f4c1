/* Runs compiled dot products on ARMv6-M: pair by pair and row by row, the code computes the sums, and what is here
 * requantises them and stores the outputs. */
#include "dot_thumb.h"

#if SMG_THUMB_1

/* The stack of smg_dot_run_code. A step is loaded together with what follows it: a channel's struct requantization from
 * `high` on. */
#define WORDS_STEP "[sp, #0]"
#define FIRST_CHANNEL "#4"
#define LANE_STEP "[sp, #24]"
#define SECOND_CHANNEL "#28"
#define BIASES "#48" /* and what to call */
#define FIRST_BIAS "[sp, #48]"
#define SECOND_BIAS "[sp, #52]"
#define CODE "[sp, #56]"
#define END "[sp, #60]"
#define COUNT "[sp, #64]"
#define OUTPUT_STEP "[sp, #68]"
#define DISTANCE "[sp, #72]"
#define FIRST_DISTANCE "[sp, #20]" /* in place of a channel's `highest`, which is 127 where this is read */
#define SECOND_DISTANCE "[sp, #44]"
#define LOWEST "[sp, #76]"
#define ROWS "[sp, #80]"
#define ROW_STEP "[sp, #84]"
#define END_STEP "[sp, #88]"
#define OUTPUT_ROW_STEP "[sp, #92]"
#define LAST_DISTANCE "[sp, #96]"
#define LANES "[sp, #100]"
#define STEP "[sp, #104]"
#define WORDS "[sp, #108]"
/* The same in what the general loop calls, and where that has saved six words. */
#define DISTANCE_1 "[sp, #76]"
#define LOWEST_1 "[sp, #80]"
#define DISTANCE_6 "[sp, #96]"
#define STEP_6 "[sp, #128]"

/* r0 and r2-r5, r7: a step and what follows it. */
#define LOAD_FIRST                                                                                                     \
    "mov r7, sp\n"                                                                                                     \
    "ldmia r7, {r0, r2-r5, r7}\n"
#define LOAD_SECOND                                                                                                    \
    "add r7, sp, #24\n"                                                                                                \
    "ldmia r7, {r0, r2-r5, r7}\n"
/* r8-r11: the biases of two lanes; then calls the code. */
#define RUN_TWO_LANES                                                                                                  \
    "add r7, sp, " BIASES "\n"                                                                                         \
    "ldmia r7!, {r0-r2}\n"                                                                                             \
    "mov r8, r0\n"                                                                                                     \
    "mov r9, r0\n"                                                                                                     \
    "mov r10, r1\n"                                                                                                    \
    "mov r11, r1\n"                                                                                                    \
    "blx r2\n"

/* What the assembly knows of C. */
typedef char smg_assert_channels[offsetof(struct smg_channels, step) == 4 ? 1 : -1];
typedef char smg_assert_step[offsetof(struct smg_step, record) == 0 ? 1 : -1];
typedef char smg_assert_record[offsetof(struct smg_operator_record, activation_min) == 2 ? 1 : -1];
typedef char smg_assert_dot_rows[offsetof(struct smg_dot, rows) == 16 ? 1 : -1];
typedef char smg_assert_dot_output_step[offsetof(struct smg_dot, output_step) == 32 ? 1 : -1];
typedef char smg_assert_pairs[offsetof(struct smg_pairs, output_row_step) == 28 ? 1 : -1];
typedef char smg_assert_block[offsetof(struct block, channels) == 8 ? 1 : -1];
typedef char smg_assert_requantization[offsetof(struct requantization, shift) == 16 ? 1 : -1];
typedef char smg_assert_requantization_size[sizeof(struct requantization) == 24 ? 1 : -1];

/* r1 = the output for a sum; r2-r5 as struct requantization has them. `other`: where it goes on for sums that are negative
 * or large, `high` for outputs above 127. */
#define POSITIVE_OUTPUT(sum, other, high)                                                                              \
    "mov r0, " sum "\n"                                                                                                \
    "asrs r1, r0, #19\n"                                                                                               \
    "bne " other "f\n"                                                                                                 \
    "movs r1, r0\n"                                                                                                    \
    "muls r1, r2\n"                                                                                                    \
    "muls r0, r3\n"                                                                                                    \
    "lsrs r0, r0, #13\n"                                                                                               \
    "adds r1, r1, r0\n"                                                                                                \
    "adds r1, r1, r4\n"                                                                                                \
    "asrs r1, r5\n"                                                                                                    \
    "cmp r1, #127\n"                                                                                                   \
    "bgt " high "f\n"

/* What POSITIVE_OUTPUT leaves out, with the sign of the sum in the flags: sums below 0 give -128, whose byte this is. */
#define CLAMPED_OUTPUT(other, high, back)                                                                              \
    other ": bpl " high "f\n"                                                                                          \
    "movs r1, #128\n"                                                                                                  \
    "b " back "b\n" high ": movs r1, #127\n"                                                                           \
    "b " back "b\n"

/* The outputs of one channel for the sums in r8 and r9. r6: of pixel 0, r7: from there to that of pixel 1; r2-r5: struct
 * requantization from `high` on. p: digit that the labels start with. */
#define OUTPUTS(p)                                                                                                     \
    POSITIVE_OUTPUT("r9", p "1", p "2")                                                                                \
    p "3: strb r1, [r6, r7]\n" POSITIVE_OUTPUT("r8", p "4", p "5") p "6: strb r1, [r6]\n"

/* What OUTPUTS leaves out. */
#define OTHER_OUTPUTS(p) CLAMPED_OUTPUT(p "1", p "2", p "3") CLAMPED_OUTPUT(p "4", p "5", p "6")

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

/* Runs compiled code for rows of pairs. On the stack, with steps in bytes:
 *
 * WORDS_STEP: from the end of a pair's taps (or of those of twins) to the next pair. FIRST_CHANNEL, SECOND_CHANNEL:
 * their struct requantization from `high` on. LANE_STEP: from one lane's output to the other's. END: of the row's
 * words. LANES: channels or twins; COUNT: the same if their form is POSITIVE, else 0. OUTPUT_STEP: from the last
 * lane to the first one of the next pair. DISTANCE: from pixel 0 to pixel 1 in this row; LAST_DISTANCE: in the last
 * row. ROW_STEP: from the end of a row's pairs to the next row. END_STEP: from one row's end to the next one's.
 * OUTPUT_ROW_STEP: from where a row's outputs end to the next row's. WORDS: room for a word.
 *
 * r6: the pair's words, while outputs are stored the output; the other one is in r12 or lr, or on the stack. */
__attribute__((naked)) void smg_dot_run_code(SMG_READ_BY_ASSEMBLY const struct smg_dot *dot,
                                             SMG_READ_BY_ASSEMBLY const void *code,
                                             SMG_READ_BY_ASSEMBLY const struct smg_pairs *pairs)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "mov r4, r8\n"
                   "mov r5, r9\n"
                   "mov r6, r10\n"
                   "mov r7, r11\n"
                   "push {r4-r7}\n"
                   "sub sp, #116\n"

                   "mov r8, r0\n"
                   "ldmia r1!, {r3, r4}\n" /* bytes; count and pairs at once */
                   "mov r12, r4\n"
                   "ldmia r1!, {r3}\n"
                   "str r3, " FIRST_BIAS "\n"
                   "ldmia r1!, {r3-r7}\n"
                   "add r0, sp, " FIRST_CHANNEL "\n"
                   "stmia r0!, {r3-r7}\n"
                   "mov r9, r6\n"
                   "mov r0, r12\n"
                   "uxth r0, r0\n"
                   "cmp r0, #1\n"
                   "bne 1f\n"
                   "subs r1, #24\n" /* the only channel once more */
                   "1: ldmia r1!, {r3}\n"
                   "str r3, " SECOND_BIAS "\n"
                   "ldmia r1!, {r3-r7}\n"
                   "add r0, sp, " SECOND_CHANNEL "\n"
                   "stmia r0!, {r3-r7}\n"
                   "adds r1, #1\n" /* behind the channels; odd because it is Thumb */
                   "str r1, " CODE "\n"
                   "mov r0, r9\n"
                   "orrs r6, r0\n"
                   "lsrs r6, r6, #8\n" /* 0: the form of both is POSITIVE */
                   "mov r4, r12\n"
                   "uxth r3, r4\n" /* count of channels */
                   "lsrs r4, r4, #16\n" /* pairs at once */
                   "mov r0, r8\n"
                   "ldr r5, [r0, #32]\n" /* bytes from one pair's output to the next pair's */
                   "adds r7, r5, #1\n"
                   "subs r7, r7, r3\n"
                   "str r7, " OUTPUT_STEP "\n"
                   "muls r3, r4\n"
                   "str r3, " LANES "\n"
                   "movs r7, #1\n"
                   "cmp r4, #1\n"
                   "beq 1f\n"
                   "movs r7, r5\n"
                   "1: str r7, " LANE_STEP "\n"
                   "cmp r6, #0\n"
                   "beq 1f\n"
                   "movs r3, #0\n"
                   "1: str r3, " COUNT "\n"

                   "ldr r3, [r0, #16]\n" /* rows of taps */
                   "subs r3, #1\n"
                   "ldr r4, [r0, #24]\n"
                   "muls r3, r4\n"
                   "ldr r4, [r0, #20]\n"
                   "adds r3, r3, r4\n"
                   "ldr r6, [r0, #28]\n" /* words from one pair to the next */
                   "subs r3, r6, r3\n"
                   "lsls r3, r3, #2\n"
                   "str r3, " WORDS_STEP "\n"
                   "ldr r4, [r2, #4]\n" /* pairs of a row */
                   "muls r6, r4\n"
                   "lsls r6, r6, #2\n"
                   "ldr r1, [r2, #0]\n"
                   "adds r3, r1, r6\n"
                   "str r3, " END "\n"
                   "ldr r3, [r2, #24]\n"
                   "str r3, " LAST_DISTANCE "\n"
                   "ldr r7, [r2, #8]\n"
                   "str r7, " ROWS "\n"
                   "cmp r7, #1\n"
                   "beq 1f\n"
                   "muls r4, r5\n"
                   "ldr r3, [r2, #28]\n"
                   "subs r3, r3, r4\n"
                   "str r3, " OUTPUT_ROW_STEP "\n"
                   "ldr r3, [r2, #12]\n"
                   "lsls r3, r3, #2\n"
                   "str r3, " END_STEP "\n"
                   "subs r3, r3, r6\n"
                   "str r3, " ROW_STEP "\n"
                   "ldr r3, [r2, #20]\n"
                   "1: str r3, " DISTANCE "\n"
                   "ldr r3, [r0, #0]\n"
                   "ldr r3, [r3, #4]\n"
                   "str r3, " STEP "\n"
                   "ldr r3, [r3, #0]\n"
                   "movs r4, #2\n"
                   "ldrsb r3, [r3, r4]\n"
                   "str r3, " LOWEST "\n"
                   "ldr r3, [r2, #16]\n"
                   "mov r12, r3\n"
                   "movs r6, r1\n"
                   "dsb\n"
                   "isb\n"

                   "1: ldr r0, " COUNT "\n" /* a row */
                   "cmp r0, #0\n"
                   "bne 7f\n"
                   "b 50f\n"
                   "7: ldr r1, " DISTANCE "\n"
                   "str r1, " FIRST_DISTANCE "\n"
                   "str r1, " SECOND_DISTANCE "\n"
                   "cmp r0, #1\n"
                   "beq 3f\n"

                   "2:" RUN_TWO_LANES LOAD_FIRST /* a pair, two channels or twins */
                   "adds r6, r6, r0\n"
                   "mov lr, r6\n"
                   "mov r6, r12\n" OUTPUTS("1")
                   "mov r8, r10\n"
                   "mov r9, r11\n" LOAD_SECOND
                   "adds r6, r6, r0\n" OUTPUTS("2")
                   "ldr r0, " OUTPUT_STEP "\n"
                   "adds r6, r6, r0\n"
                   "mov r12, r6\n"
                   "mov r6, lr\n"
                   "ldr r0, " END "\n"
                   "cmp r6, r0\n"
                   "bne 2b\n"
                   "b 4f\n"
                   OTHER_OUTPUTS("1")
                   OTHER_OUTPUTS("2")

                   "3: ldr r0, " FIRST_BIAS "\n" /* a pair, one channel */
                   "mov r8, r0\n"
                   "mov r9, r0\n"
                   "ldr r0, " CODE "\n"
                   "blx r0\n" LOAD_FIRST
                   "adds r6, r6, r0\n"
                   "mov lr, r6\n"
                   "mov r6, r12\n" OUTPUTS("3")
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
                   OTHER_OUTPUTS("3")

                   "6: add sp, #116\n"
                   "pop {r4-r7}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "mov r10, r6\n"
                   "mov r11, r7\n"
                   "pop {r4-r7, pc}\n"

                   "50:" RUN_TWO_LANES /* a pair, one or two lanes, any form */
                   "ldr r0, " WORDS_STEP "\n"
                   "adds r6, r6, r0\n"
                   "str r6, " WORDS "\n"
                   "mov r6, r12\n"
                   "add r7, sp, " FIRST_CHANNEL "\n"
                   "bl 8f\n"
                   "ldr r0, " LANES "\n"
                   "cmp r0, #1\n"
                   "beq 51f\n"
                   "mov r8, r10\n"
                   "mov r9, r11\n"
                   "ldr r0, " LANE_STEP "\n"
                   "adds r6, r6, r0\n"
                   "add r7, sp, " SECOND_CHANNEL "\n"
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
                   "52: ldr r7, " DISTANCE_1 "\n" OUTPUTS("6")
                   "pop {pc}\n"
                   OTHER_OUTPUTS("6")
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

#endif
