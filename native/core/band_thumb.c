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

/* r0, r1 the ends of both rows, r3 step, r4 minus the bytes left, r7 where the next word goes, r12 shape. Four words at a time;
 * before them the first one alone if their number is odd, and two if there are two more. */
__attribute__((naked)) void smg_gather(SMG_READ_BY_ASSEMBLY uint32_t *words, SMG_READ_BY_ASSEMBLY const int8_t *row0,
                                       SMG_READ_BY_ASSEMBLY const int8_t *row1,
                                       SMG_READ_BY_ASSEMBLY const struct smg_gather *shape)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "movs r7, r0\n"
                   "movs r0, r1\n"
                   "movs r1, r2\n"
                   "mov r12, r3\n"
                   "ldr r2, [r3, #8]\n" /* rows */
                   "mov lr, r2\n"
                   "ldr r3, [r3, #4]\n"
                   "1: mov r5, r12\n"
                   "ldr r2, [r5]\n"
                   "adds r0, r0, r2\n"
                   "adds r1, r1, r2\n"
                   "negs r4, r2\n"
                   "ldr r5, [r5, #20]\n"
                   "lsrs r5, r5, #1\n"
                   "bcc 2f\n" WORD("r2")
                   "stmia r7!, {r2}\n"
                   "adds r4, r4, r3\n"
                   "beq 4f\n"
                   "2: lsrs r5, r5, #1\n"
                   "bcs 5f\n"
                   "3:\n" TWO_WORDS
                   "5:\n" TWO_WORDS
                   "bne 3b\n"
                   "4: mov r4, lr\n"
                   "subs r4, #1\n"
                   "beq 6f\n"
                   "mov lr, r4\n"
                   "mov r4, r12\n"
                   "ldr r5, [r4, #12]\n"
                   "adds r0, r0, r5\n"
                   "adds r1, r1, r5\n"
                   "ldr r5, [r4, #16]\n"
                   "adds r7, r7, r5\n"
                   "b 1b\n"
                   "6: pop {r4-r7, pc}\n");
}

/* r0 where the next word goes, r1 the next value of the row that is no padding, r2 bytes from there to the next one, r3 the
 * padding in its half of the word, r4 the shift to the other half, r12 the end of the words. Two words at a time; of an odd
 * number of them the first one alone. */
__attribute__((naked)) void smg_gather_edge(SMG_READ_BY_ASSEMBLY uint32_t *words,
                                            SMG_READ_BY_ASSEMBLY const int8_t *row0,
                                            SMG_READ_BY_ASSEMBLY const int8_t *row1,
                                            SMG_READ_BY_ASSEMBLY const struct smg_edge *edge)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "ldmia r3!, {r5-r7}\n"
                   "movs r4, #0\n"
                   "cmp r6, #0\n"
                   "beq 1f\n"
                   "ldrsb r3, [r2, r4]\n" /* padding for pixel 1 */
                   "lsls r3, r3, #16\n"
                   "movs r2, r6\n"
                   "b 2f\n"
                   "1: ldrsb r3, [r1, r4]\n"
                   "movs r1, r2\n"
                   "movs r2, r7\n"
                   "movs r4, #16\n"
                   "2: lsls r6, r5, #2\n"
                   "adds r6, r6, r0\n"
                   "mov r12, r6\n"
                   "movs r7, #0\n"
                   "lsrs r5, r5, #1\n"
                   "bcc 3f\n"
                   "ldrsb r5, [r1, r7]\n"
                   "lsls r5, r4\n"
                   "adds r5, r5, r3\n"
                   "stmia r0!, {r5}\n"
                   "adds r1, r1, r2\n"
                   "b 4f\n"
                   "3: ldrsb r5, [r1, r7]\n"
                   "adds r1, r1, r2\n"
                   "ldrsb r6, [r1, r7]\n"
                   "adds r1, r1, r2\n"
                   "lsls r5, r4\n"
                   "adds r5, r5, r3\n"
                   "lsls r6, r4\n"
                   "adds r6, r6, r3\n"
                   "stmia r0!, {r5, r6}\n"
                   "4: cmp r0, r12\n"
                   "bne 3b\n"
                   "pop {r4-r7, pc}\n");
}

#endif
