/* Huffman decoding for Cortex-M0+: 11 cycles a weight, 10 more for every 16 bits, and about 35 for a long code. */
#include "huffman_thumb.h"

#if SMG_THUMB_1

/* Four weights in a turn; what is left over comes first, by an entry into the middle. r7: where the weights go; r12:
 * their end. */
__attribute__((naked)) void smg_decode(SMG_READ_BY_ASSEMBLY struct smg_decoder *decoder,
                                      SMG_READ_BY_ASSEMBLY int8_t *weights, SMG_READ_BY_ASSEMBLY uint32_t count)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "ldr r4, [r0, #16]\n"
                   "push {r0, r1, r4}\n"
                   "adds r7, r1, r2\n"
                   "mov r12, r7\n"
                   "negs r2, r2\n"
                   "movs r7, #3\n"
                   "ands r2, r7\n" /* how many of the four are left out at first */
                   "subs r7, r1, r2\n"
                   "movs r1, #14\n" /* bytes for each */
                   "muls r1, r2\n"
                   "ldmia r0!, {r2, r3, r4, r6}\n"
                   "movs r5, #255\n"
                   "adds r5, #1\n"
                   "adds r5, r5, r4\n"
                   "add pc, r1\n"
                   "nop\n"

                   "1:\n" SMG_DECODE_ONE("0") "strb r0, [r7]\n"
                   SMG_DECODE_ONE("1") "strb r0, [r7, #1]\n"
                   SMG_DECODE_ONE("2") "strb r0, [r7, #2]\n"
                   SMG_DECODE_ONE("3") "strb r0, [r7, #3]\n"
                   "adds r7, #4\n"
                   "cmp r7, r12\n"
                   "bne 1b\n"

                   "pop {r0, r1, r5}\n"
                   "stmia r0!, {r2, r3, r4, r6}\n"
                   "pop {r4-r7, pc}\n"

                   SMG_DECODE_MORE("0") SMG_DECODE_MORE("1") SMG_DECODE_MORE("2") SMG_DECODE_MORE("3")
                   SMG_DECODE_LONG);
}

#endif
