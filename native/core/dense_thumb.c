/* Dot products of four output channels with raw weights for Cortex-M0+, two inputs in a turn. An odd number of inputs is entered in the
 * middle of the first turn. */
#include "dense_thumb.h"
#include "internal.h"

#if SMG_THUMB_1

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

#endif
