/* Huffman decoding for Cortex-M0+: 14 cycles a weight, 10 more for every 16 bits, and about 35 for a long code. With zero
 * runs, 41 cycles a weight that is not zero, and 6 more for each unit of the run before it. */
#include "dense_thumb.h"
#include "huffman_thumb.h"

#if SMG_THUMB_1

/* r7 goes over the weights, or over the inputs if they are multiplied; r12: their end; r8: 0 to store weights, else lr is
 * the sum of products; r9: a unit of runs; r10: its log2, or -1 without runs; r11: 32 - r10. */
__attribute__((naked)) uint32_t smg_decode_thumb(SMG_READ_BY_ASSEMBLY struct smg_decoder *decoder,
                                                 SMG_READ_BY_ASSEMBLY const int8_t *weights,
                                                 SMG_READ_BY_ASSEMBLY uint32_t count,
                                                 SMG_READ_BY_ASSEMBLY uint32_t how)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "mov r4, r8\n"
                   "mov r5, r9\n"
                   "mov r6, r10\n"
                   "mov r7, r11\n"
                   "push {r4-r7}\n"
                   "ldr r4, [r0, #16]\n"
                   "push {r0, r1, r4}\n"
                   "movs r7, r1\n"
                   "adds r1, r1, r2\n"
                   "mov r12, r1\n"
                   "lsrs r1, r3, #8\n"
                   "mov r8, r1\n"
                   "movs r1, #0\n"
                   "mov lr, r1\n"
                   "uxtb r3, r3\n"
                   "subs r3, #1\n"
                   "mov r10, r3\n"
                   "movs r1, #1\n"
                   "lsls r1, r3\n"
                   "mov r9, r1\n"
                   "movs r1, #32\n"
                   "subs r1, r1, r3\n"
                   "mov r11, r1\n"
                   "movs r1, r3\n"
                   "ldmia r0!, {r2, r3, r4, r6}\n"
                   "movs r5, #255\n"
                   "adds r5, #1\n"
                   "adds r5, r5, r4\n"
                   "cmp r1, #0\n"
                   "bge 50f\n"

                   "57:" SMG_DECODE_ONE("5")
                   "strb r0, [r7]\n"
                   "adds r7, #1\n"
                   "cmp r7, r12\n"
                   "bne 57b\n"
                   "b 56f\n"

                   "50: lsls r2, r2, #1\n" /* ones of a run: a unit each */
                   "bcc 52f\n"
                   "add r7, r9\n"
                   "adds r3, #1\n"
                   "bne 50b\n"
                   "ldrh r1, [r6]\n"
                   "adds r6, #2\n"
                   "orrs r2, r1\n"
                   "subs r3, #16\n"
                   "b 50b\n"
                   "52: movs r0, r2\n" /* the rest of the run */
                   "mov r1, r11\n"
                   "lsrs r0, r1\n"
                   "adds r7, r7, r0\n"
                   "mov r1, r10\n"
                   "lsls r2, r1\n"
                   "adds r3, r3, r1\n"
                   "adds r3, #1\n"
                   "bmi 53f\n"
                   "ldrh r1, [r6]\n"
                   "adds r6, #2\n"
                   "lsls r1, r3\n"
                   "orrs r2, r1\n"
                   "subs r3, #16\n"
                   "53: cmp r7, r12\n"
                   "bhs 56f\n" SMG_DECODE_ONE("6")
                   "mov r1, r8\n"
                   "cmp r1, #0\n"
                   "bne 54f\n"
                   "strb r0, [r7]\n"
                   "55: adds r7, #1\n"
                   "cmp r7, r12\n"
                   "bne 50b\n"

                   "56: pop {r0, r1, r5}\n"
                   "stmia r0!, {r2, r3, r4, r6}\n"
                   "mov r0, lr\n"
                   "pop {r4-r7}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "mov r10, r6\n"
                   "mov r11, r7\n"
                   "pop {r4-r7, pc}\n"

                   "54: ldrb r1, [r7]\n"
                   "sxtb r1, r1\n"
                   "muls r0, r1\n"
                   "add lr, r0\n"
                   "b 55b\n"
                   SMG_DECODE_MORE("5") SMG_DECODE_MORE("6") SMG_DECODE_LONG);
}

/* The weights of the four channels for one input. r7: input; r8 .. r11: sums. */
#define STREAMED_INPUT(a, b, c, d)                                                                                    \
    SMG_DECODE_ONE(a)                                                                                                 \
    "muls r0, r7\n"                                                                                                   \
    "add r8, r0\n"                                                                                                    \
    SMG_DECODE_ONE(b)                                                                                                 \
    "muls r0, r7\n"                                                                                                   \
    "add r9, r0\n"                                                                                                    \
    SMG_DECODE_ONE(c)                                                                                                 \
    "muls r0, r7\n"                                                                                                   \
    "add r10, r0\n"                                                                                                   \
    SMG_DECODE_ONE(d)                                                                                                 \
    "muls r0, r7\n"                                                                                                   \
    "add r11, r0\n"

/* Two inputs in a turn; an odd number of them is entered in the middle of the first turn. r12: next input; lr: end of the
 * input. */
__attribute__((naked)) void smg_dense_streamed_thumb(SMG_READ_BY_ASSEMBLY struct smg_decoder *decoder,
                                                    SMG_READ_BY_ASSEMBLY const int8_t *input,
                                                    SMG_READ_BY_ASSEMBLY uint32_t inputs,
                                                    SMG_READ_BY_ASSEMBLY uint32_t *sums)
{
    __asm volatile(".syntax unified\n" SAVE_SUMS_REGISTERS
                   "ldr r4, [r0, #16]\n"
                   "push {r0, r3, r4}\n" CLEAR_SUMS
                   "adds r4, r1, r2\n"
                   "mov lr, r4\n"
                   "lsls r7, r2, #31\n"
                   "lsrs r7, r7, #31\n"
                   "subs r1, r1, r7\n"
                   "mov r12, r1\n"
                   "ldmia r0!, {r2, r3, r4, r6}\n"
                   "movs r5, #255\n"
                   "adds r5, #1\n"
                   "adds r5, r5, r4\n"
                   "mov r0, r12\n"
                   "cmp r7, #0\n"
                   "bne 2f\n"

                   "1: ldrb r7, [r0]\n"
                   "sxtb r7, r7\n" STREAMED_INPUT("0", "1", "2", "3")
                   "2: mov r0, r12\n"
                   "ldrb r7, [r0, #1]\n"
                   "sxtb r7, r7\n" STREAMED_INPUT("4", "5", "6", "7")
                   "mov r0, r12\n"
                   "adds r0, #2\n"
                   "mov r12, r0\n"
                   "cmp r0, lr\n"
                   "bne 1b\n"

                   "pop {r0, r1, r5}\n"
                   "stmia r0!, {r2, r3, r4, r6}\n"
                   "movs r0, r1\n" STORE_SUMS_AND_RETURN

                   SMG_DECODE_MORE("0") SMG_DECODE_MORE("1") SMG_DECODE_MORE("2") SMG_DECODE_MORE("3")
                   SMG_DECODE_MORE("4") SMG_DECODE_MORE("5") SMG_DECODE_MORE("6") SMG_DECODE_MORE("7"));
}

#endif
