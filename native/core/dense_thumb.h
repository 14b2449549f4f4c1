/* What the dense kernels for Cortex-M0+ share: sums of four channels in r8 .. r11. */
#ifndef SMG_DENSE_THUMB_H
#define SMG_DENSE_THUMB_H

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

#endif
