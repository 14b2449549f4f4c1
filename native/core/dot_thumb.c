/* Runs compiled dot products on ARMv6-M: pair by pair and row by row, the code computes the sums, and what is here
 * requantises them and stores the outputs. */
#include "dot_thumb.h"

#if SMG_THUMB_1

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
