/* Pieces of assembly for Cortex-M0+ that decode one weight each; the strings of huffman_thumb.c and dense_thumb.c.
 *
 * r0 symbol, r1 length of its code, r2 window, r3 missing, r4 lengths of short codes, r5 their symbols, r6 next unit,
 * r7 the caller's. [sp, #8]: all symbols. The levels of long codes lie behind the symbols of short ones.
 */
#ifndef SMG_HUFFMAN_THUMB_H
#define SMG_HUFFMAN_THUMB_H

#include "internal.h"

typedef char smg_assert_lookup_bits[SMG_LOOKUP_BITS == 8 && SMG_LONG_CODE == -128 && SMG_LONG_CODE_BASE == 55 ? 1 : -1];

/* The next symbol into r0. A carry says that `missing` is not below 0 any more, or that the code is a long one: 128 was
 * subtracted. n: a digit, which is another one for each SMG_DECODE_ONE of a function. 12 bytes. */
#define SMG_DECODE_ONE(n)                                                                                             \
    "lsrs r0, r2, #24\n"                                                                                              \
    "ldrsb r1, [r4, r0]\n"                                                                                            \
    "ldrsb r0, [r5, r0]\n"                                                                                            \
    "adds r3, r3, r1\n"                                                                                               \
    "1" n ": bcs 2" n "f\n"                                                                                           \
    "lsls r2, r1\n"                                                                                                   \
    "3" n ":\n"

/* What SMG_DECODE_ONE(n) branches to: refills the window, or has a long code found. Behind the loop. */
#define SMG_DECODE_MORE(n)                                                                                            \
    "2" n ": bmi 4" n "f\n"                                                                                           \
    "lsls r2, r1\n"                                                                                                   \
    "ldrh r1, [r6]\n"                                                                                                 \
    "adds r6, #2\n"                                                                                                   \
    "lsls r1, r3\n"                                                                                                   \
    "orrs r2, r1\n"                                                                                                   \
    "subs r3, #16\n"                                                                                                  \
    "b 3" n "b\n"                                                                                                     \
    "4" n ": mov r1, pc\n"                                                                                            \
    "subs r1, #(4" n "b - 1" n "b + 3)\n" /* pc is 4 further on; bit 0 is set for Thumb */                            \
    "b .Llong_code\n"

/* Finds a long code: the first level whose limit is above it. Returns to r1, the branch of SMG_DECODE_ONE, with flags
 * that tell only whether the window runs low. Once in a file. */
#define SMG_DECODE_LONG                                                                                               \
    ".Llong_code: push {r1}\n"                                                                                        \
    "push {r7}\n"                                                                                                     \
    "lsls r0, r0, #2\n" /* from the symbols to a level */                                                             \
    "lsrs r7, r2, #17\n"                                                                                              \
    "9: ldrh r1, [r5, r0]\n"                                                                                          \
    "adds r0, #4\n"                                                                                                   \
    "cmp r7, r1\n"                                                                                                    \
    "bhs 9b\n"                                                                                                        \
    "subs r0, #2\n" /* to its start */                                                                                \
    "ldrh r1, [r5, r0]\n"                                                                                             \
    "subs r7, r7, r1\n"                                                                                               \
    "lsrs r0, r0, #2\n"                                                                                               \
    "subs r0, #55\n" /* the length */                                                                                 \
    "movs r1, #15\n"                                                                                                  \
    "subs r1, r1, r0\n"                                                                                               \
    "lsrs r7, r1\n"                                                                                                   \
    "movs r1, r0\n"                                                                                                   \
    "ldr r0, [sp, #16]\n"                                                                                             \
    "ldrsb r0, [r0, r7]\n"                                                                                            \
    "adds r3, #128\n"                                                                                                 \
    "adds r3, r3, r1\n"                                                                                               \
    "pop {r7, pc}\n"

#endif
