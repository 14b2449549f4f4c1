/* Reading a channel's numbers on Cortex-M0+: some 100 cycles. requantize.c has it in C. */
#include "internal.h"

#if SMG_THUMB_1

/* r0 numbers; r1 where a number ends in the stream, in bits; r2 result; r4 multiplier_bits; r5 shift_bits. 8: r7 = the 32
 * bits before r1, of which the bits of the number are the upper ones; changes r3 and r6. What lies before the stream is
 * read too, but no bit of it is used. LSLS and LSRS by 32 give 0, as numbers of no bits need it. */
__attribute__((naked)) void smg_channels_read(SMG_READ_BY_ASSEMBLY const struct smg_channels *channels,
                                              SMG_READ_BY_ASSEMBLY uint32_t channel,
                                              SMG_READ_BY_ASSEMBLY struct smg_channel *result)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "ldr r0, [r0]\n"
                   "ldrb r3, [r0, #5]\n"
                   "ldrb r4, [r0, #6]\n"
                   "ldrb r5, [r0, #7]\n"
                   "adds r6, r3, r4\n"
                   "adds r6, r6, r5\n"
                   "muls r1, r6\n"
                   "adds r1, r1, r3\n"
                   "bl 8f\n"
                   "ldrb r3, [r0, #5]\n"
                   "movs r6, #32\n"
                   "subs r6, r6, r3\n"
                   "lsrs r7, r6\n" /* 0 if the bias has no bits */
                   "lsls r7, r6\n"
                   "asrs r7, r6\n"
                   "str r7, [r2]\n"

                   "adds r1, r1, r4\n"
                   "adds r1, r1, r5\n"
                   "bl 8f\n"
                   "movs r6, #32\n"
                   "subs r6, r6, r5\n"
                   "movs r3, r7\n"
                   "lsrs r3, r6\n"
                   "movs r6, #4\n"
                   "ldrsb r6, [r0, r6]\n"
                   "adds r3, r3, r6\n"
                   "str r3, [r2, #8]\n"

                   "lsls r7, r5\n"
                   "adds r6, r4, r5\n"
                   "cmp r6, #32\n"
                   "bls 1f\n" /* the multiplier is among the same 32 bits */
                   "subs r1, r1, r5\n"
                   "bl 8f\n"
                   "1: movs r6, #32\n"
                   "subs r6, r6, r4\n"
                   "lsrs r7, r6\n"
                   "subs r6, #2\n"
                   "lsls r7, r6\n"
                   "ldr r6, [r0]\n"
                   "adds r7, r7, r6\n"
                   "str r7, [r2, #4]\n"
                   "pop {r4-r7, pc}\n"

                   "8: lsrs r6, r1, #5\n"
                   "lsls r6, r6, #2\n"
                   "adds r6, r6, r0\n"
                   "ldr r7, [r6, #4]\n"
                   "movs r3, #31\n"
                   "ands r3, r1\n"
                   "beq 9f\n" /* the word after it may not be there */
                   "lsrs r7, r3\n"
                   "ldr r6, [r6, #8]\n"
                   "subs r3, #32\n"
                   "negs r3, r3\n"
                   "lsls r6, r3\n"
                   "orrs r7, r6\n"
                   "9: bx lr\n");
}

#endif
