/* Gathering words of pixel pairs for Cortex-M0+: 9.5 cycles a word, and 13 where a row is padding. */
#include "band.h"

#if SMG_THUMB_1

/* r0, r1 the ends of both rows, r3 step, r4 minus the bytes left, r7 where the next word goes, r12 shape. Two words at a time;
 * of an odd number of them the first one alone. */
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
                   "bcc 2f\n"
                   "ldrsb r5, [r0, r4]\n"
                   "ldrsb r6, [r1, r4]\n"
                   "lsls r6, r6, #16\n"
                   "adds r5, r5, r6\n"
                   "stmia r7!, {r5}\n"
                   "adds r4, r4, r3\n"
                   "beq 4f\n"
                   "2: ldrsb r2, [r0, r4]\n"
                   "ldrsb r6, [r1, r4]\n"
                   "lsls r6, r6, #16\n"
                   "adds r2, r2, r6\n"
                   "adds r4, r4, r3\n"
                   "ldrsb r5, [r0, r4]\n"
                   "ldrsb r6, [r1, r4]\n"
                   "lsls r6, r6, #16\n"
                   "adds r5, r5, r6\n"
                   "stmia r7!, {r2, r5}\n"
                   "adds r4, r4, r3\n"
                   "bne 2b\n"
                   "4: mov r4, lr\n"
                   "subs r4, #1\n"
                   "beq 3f\n"
                   "mov lr, r4\n"
                   "mov r4, r12\n"
                   "ldr r5, [r4, #12]\n"
                   "adds r0, r0, r5\n"
                   "adds r1, r1, r5\n"
                   "ldr r5, [r4, #16]\n"
                   "adds r7, r7, r5\n"
                   "b 1b\n"
                   "3: pop {r4-r7, pc}\n");
}

/* r0, r1 the next values of both rows, r2 step0, r3 step1, r4 0, r7 where the next word goes, r12 the end of the words. */
__attribute__((naked)) void smg_gather_edge(SMG_READ_BY_ASSEMBLY uint32_t *words,
                                            SMG_READ_BY_ASSEMBLY const int8_t *row0,
                                            SMG_READ_BY_ASSEMBLY const int8_t *row1,
                                            SMG_READ_BY_ASSEMBLY const struct smg_edge *edge)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "movs r7, r0\n"
                   "movs r0, r1\n"
                   "movs r1, r2\n"
                   "ldmia r3!, {r2, r4, r5}\n"
                   "lsls r2, r2, #2\n"
                   "adds r2, r2, r7\n"
                   "mov r12, r2\n"
                   "movs r2, r4\n"
                   "movs r3, r5\n"
                   "movs r4, #0\n"
                   "1: ldrsb r5, [r0, r4]\n"
                   "adds r0, r0, r2\n"
                   "ldrsb r6, [r1, r4]\n"
                   "adds r1, r1, r3\n"
                   "lsls r6, r6, #16\n"
                   "adds r5, r5, r6\n"
                   "stmia r7!, {r5}\n"
                   "cmp r7, r12\n"
                   "bne 1b\n"
                   "pop {r4-r7, pc}\n");
}

#endif
