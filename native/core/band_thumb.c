/* Gathering words of pixel pairs for Cortex-M0+: 9 cycles a word, and 8.5 where a row is padding. */
#include "band.h"

#if SMG_THUMB_1

/* A word, r6 a temporary. */
#define WORD(word)                                                                                                     \
    "ldrsb " word ", [r0, r4]\n"                                                                                       \
    "ldrsb r6, [r1, r4]\n"                                                                                             \
    "lsls r6, r6, #16\n"                                                                                               \
    "adds " word ", " word ", r6\n"

#define TWO_WORDS                                                                                                      \
    WORD("r2")                                                                                                         \
    "adds r4, r4, r3\n" WORD("r5")                                                                                     \
    "stmia r7!, {r2, r5}\n"                                                                                            \
    "adds r4, r4, r3\n"

typedef char smg_assert_gather_step[offsetof(struct smg_gather, step) == 20 ? 1 : -1];
typedef char smg_assert_gather_padding[offsetof(struct smg_gather, padding) == 40 ? 1 : -1];

/* Rows inside the input: r0, r1 the ends of both rows, r3 step, r4 minus the bytes left, r7 where the next word goes, r12
 * shape, lr rows left. Four words at a time; before them the first one alone if their number is odd, and two if there are
 * two more.
 *
 * A row with padding: r0 the next value of the row that is none, r2 bytes from there to the next one, r3 the padding in its
 * half of the word, r4 the shift to the other half, r12 the end of the words. Two words at a time; of an odd number of them
 * the first one alone. */
__attribute__((naked)) uint32_t smg_gather(SMG_READ_BY_ASSEMBLY uint32_t *words,
                                           SMG_READ_BY_ASSEMBLY const struct smg_gather *shape,
                                           SMG_READ_BY_ASSEMBLY uint32_t y, SMG_READ_BY_ASSEMBLY uint32_t rows)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "mov r12, r1\n"
                   "movs r7, r0\n"
                   "ldmia r1!, {r0, r4-r6}\n" /* start, row_bytes, apart, height; r1 is at `span` */
                   "adds r5, r5, r2\n"
                   "cmp r2, r6\n"
                   "bhs 10f\n"
                   "cmp r5, r6\n"
                   "bhs 12f\n"
                   "subs r6, r6, r5\n"
                   "cmp r3, r6\n"
                   "bls 1f\n"
                   "movs r3, r6\n"
                   "1: ldr r6, [r1, #20]\n" /* row_step */
                   "cmp r6, #1\n"
                   "beq 2f\n"
                   "movs r3, #1\n"
                   "2: push {r3}\n"
                   "mov lr, r3\n"
                   "ldr r3, [r1, #4]\n" /* step */
                   "muls r2, r4\n"
                   "muls r5, r4\n"
                   "adds r1, r0, r5\n"
                   "adds r0, r0, r2\n"
                   "3: mov r5, r12\n"
                   "ldr r2, [r5, #16]\n" /* span */
                   "adds r0, r0, r2\n"
                   "adds r1, r1, r2\n"
                   "negs r4, r2\n"
                   "ldr r5, [r5, #32]\n" /* values */
                   "lsrs r5, r5, #1\n"
                   "bcc 4f\n" WORD("r2")
                   "stmia r7!, {r2}\n"
                   "adds r4, r4, r3\n"
                   "beq 7f\n"
                   "4: lsrs r5, r5, #1\n"
                   "bcs 6f\n"
                   "5:\n" TWO_WORDS
                   "6:\n" TWO_WORDS
                   "bne 5b\n"
                   "7: mov r4, lr\n"
                   "subs r4, #1\n"
                   "beq 8f\n"
                   "mov lr, r4\n"
                   "mov r4, r12\n"
                   "ldr r5, [r4, #24]\n" /* row_gap */
                   "adds r0, r0, r5\n"
                   "adds r1, r1, r5\n"
                   "ldr r5, [r4, #28]\n" /* words_gap */
                   "adds r7, r7, r5\n"
                   "b 3b\n"
                   "8: pop {r0, r4-r7, pc}\n"

                   "10: ldr r3, [r1, #24]\n" /* padding, for pixel 0 */
                   "cmp r5, r6\n"
                   "bhs 11f\n"
                   "muls r5, r4\n"
                   "adds r0, r0, r5\n"
                   "ldr r2, [r1, #4]\n"
                   "movs r4, #16\n"
                   "b 13f\n"
                   "11: movs r0, r1\n" /* and for pixel 1 */
                   "adds r0, #24\n"
                   "movs r2, #0\n"
                   "movs r4, #16\n"
                   "b 13f\n"
                   "12: ldr r3, [r1, #24]\n" /* for pixel 1 */
                   "lsls r3, r3, #16\n"
                   "muls r2, r4\n"
                   "adds r0, r0, r2\n"
                   "ldr r2, [r1, #4]\n"
                   "movs r4, #0\n"
                   "13: ldr r5, [r1, #16]\n" /* values */
                   "lsls r6, r5, #2\n"
                   "adds r6, r6, r7\n"
                   "mov r12, r6\n"
                   "movs r1, #0\n"
                   "lsrs r5, r5, #1\n"
                   "bcc 14f\n"
                   "ldrsb r5, [r0, r1]\n"
                   "adds r0, r0, r2\n"
                   "lsls r5, r4\n"
                   "adds r5, r5, r3\n"
                   "stmia r7!, {r5}\n"
                   "b 15f\n"
                   "14: ldrsb r5, [r0, r1]\n"
                   "adds r0, r0, r2\n"
                   "ldrsb r6, [r0, r1]\n"
                   "adds r0, r0, r2\n"
                   "lsls r5, r4\n"
                   "adds r5, r5, r3\n"
                   "lsls r6, r4\n"
                   "adds r6, r6, r3\n"
                   "stmia r7!, {r5, r6}\n"
                   "15: cmp r7, r12\n"
                   "bne 14b\n"
                   "movs r0, #1\n"
                   "pop {r4-r7, pc}\n");
}

#endif
