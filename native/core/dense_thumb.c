/* Dot products of four output channels for Cortex-M0+, two inputs in a turn. An odd number of inputs is entered in the
 * middle of the first turn. */
#include "huffman_thumb.h"

#if SMG_THUMB_1

/* The sums are in r8 .. r11. */
#define SAVE_SUMS_REGISTERS                                                                                           \
    "push {r4-r7, lr}\n"                                                                                              \
    "mov r4, r8\n"                                                                                                    \
    "mov r5, r9\n"                                                                                                    \
    "mov r6, r10\n"                                                                                                   \
    "mov r7, r11\n"                                                                                                   \
    "push {r4-r7}\n"
#define CLEAR_SUMS                                                                                                    \
    "movs r4, #0\n"                                                                                                   \
    "mov r8, r4\n"                                                                                                    \
    "mov r9, r4\n"                                                                                                    \
    "mov r10, r4\n"                                                                                                   \
    "mov r11, r4\n"
/* r0: where they go. */
#define STORE_SUMS_AND_RETURN                                                                                         \
    "mov r4, r8\n"                                                                                                    \
    "mov r5, r9\n"                                                                                                    \
    "mov r6, r10\n"                                                                                                   \
    "mov r7, r11\n"                                                                                                   \
    "stmia r0!, {r4-r7}\n"                                                                                            \
    "pop {r4-r7}\n"                                                                                                   \
    "mov r8, r4\n"                                                                                                    \
    "mov r9, r5\n"                                                                                                    \
    "mov r10, r6\n"                                                                                                   \
    "mov r11, r7\n"                                                                                                   \
    "pop {r4-r7, pc}\n"

/* r0 .. r3: ends of the four channels' weights; r4: end of the input; r5: minus the inputs that are left. */
#define RAW_INPUT                                                                                                     \
    "ldrsb r6, [r4, r5]\n"                                                                                            \
    "ldrsb r7, [r0, r5]\n"                                                                                            \
    "muls r7, r6\n"                                                                                                   \
    "add r8, r7\n"                                                                                                    \
    "ldrsb r7, [r1, r5]\n"                                                                                            \
    "muls r7, r6\n"                                                                                                   \
    "add r9, r7\n"                                                                                                    \
    "ldrsb r7, [r2, r5]\n"                                                                                            \
    "muls r7, r6\n"                                                                                                   \
    "add r10, r7\n"                                                                                                   \
    "ldrsb r7, [r3, r5]\n"                                                                                            \
    "muls r7, r6\n"                                                                                                   \
    "add r11, r7\n"                                                                                                   \
    "adds r5, #1\n"

__attribute__((naked)) void smg_dense_raw_thumb(SMG_READ_BY_ASSEMBLY const int8_t *input,
                                               SMG_READ_BY_ASSEMBLY const int8_t *weights,
                                               SMG_READ_BY_ASSEMBLY uint32_t inputs,
                                               SMG_READ_BY_ASSEMBLY uint32_t *sums)
{
    __asm volatile(".syntax unified\n" SAVE_SUMS_REGISTERS
                   "push {r3}\n" CLEAR_SUMS
                   "adds r4, r0, r2\n"
                   "adds r0, r1, r2\n"
                   "adds r1, r0, r2\n"
                   "negs r5, r2\n"
                   "adds r6, r1, r2\n"
                   "adds r3, r6, r2\n"
                   "lsrs r2, #1\n"
                   "mov r2, r6\n"
                   "bcs 2f\n"
                   "1:\n" RAW_INPUT
                   "2:\n" RAW_INPUT
                   "bne 1b\n"
                   "pop {r0}\n" STORE_SUMS_AND_RETURN);
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

/* r12: next input; lr: end of the input. */
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
                   SMG_DECODE_MORE("4") SMG_DECODE_MORE("5") SMG_DECODE_MORE("6") SMG_DECODE_MORE("7")
                   SMG_DECODE_LONG);
}

#endif
