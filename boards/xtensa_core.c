/* The processor that Debian's compiler for Xtensa shall compile for: a plugin that the variable XTENSA_GNU_CONFIG names.
 *
 * It is what the ESP32, the ESP32-S2 and the ESP32-S3 have in common, so that one native module runs on all three: the
 * S2 has no zero-overhead loops, no MAC16, no floating point, and no S32C1I.
 *
 * The tables of instructions are those of a similar core, DC233C, in QEMU's sources. It lacks MULUH and MULSH, the high
 * half of a product, which are added here. -DXCHAL_HAVE_MUL32_HIGH=0 makes code that QEMU can run as that core. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ATTRIBUTE_UNUSED __attribute__((unused))
#include "xtensa-modules.c.inc"

/* Instructions. */
#define XCHAL_HAVE_BE 0
#define XCHAL_HAVE_DENSITY 1
#define XCHAL_HAVE_CONST16 0
#define XCHAL_HAVE_ABS 1
#define XCHAL_HAVE_ADDX 1
#define XCHAL_HAVE_L32R 1
#define XCHAL_HAVE_MAC16 0
#define XCHAL_HAVE_MUL16 1
#define XCHAL_HAVE_MUL32 1
#ifndef XCHAL_HAVE_MUL32_HIGH
#define XCHAL_HAVE_MUL32_HIGH 1
#endif
#define XCHAL_HAVE_DIV32 1
#define XCHAL_HAVE_NSA 1
#define XCHAL_HAVE_MINMAX 1
#define XCHAL_HAVE_SEXT 1
#define XCHAL_HAVE_CLAMPS 1
#define XCHAL_HAVE_LOOPS 0
#define XCHAL_HAVE_THREADPTR 1
#define XCHAL_HAVE_RELEASE_SYNC 1
#define XCHAL_HAVE_S32C1I 0
#define XCHAL_HAVE_BOOLEANS 0
#define XCHAL_HAVE_FP 0
#define XCHAL_HAVE_FP_DIV 0
#define XCHAL_HAVE_FP_RECIP 0
#define XCHAL_HAVE_FP_SQRT 0
#define XCHAL_HAVE_FP_RSQRT 0
#define XCHAL_HAVE_WIDE_BRANCHES 0
#define XCHAL_HAVE_PREDICTED_BRANCHES 0
#define XCHAL_MAX_INSTRUCTION_SIZE 3
#define XCHAL_INST_FETCH_WIDTH 4
#define XCHAL_DATA_WIDTH 4

/* Calls through register windows. */
#define XCHAL_HAVE_WINDOWED 1
#define XCHAL_NUM_AREGS 64
#define XTHAL_ABI_WINDOWED 0
#define XTHAL_ABI_CALL0 1
#define XSHAL_ABI XTHAL_ABI_WINDOWED
#define XSHAL_USE_ABSOLUTE_LITERALS 0

/* What has no influence on code. */
#define XCHAL_ICACHE_SIZE 0
#define XCHAL_DCACHE_SIZE 0
#define XCHAL_ICACHE_LINESIZE 4
#define XCHAL_DCACHE_LINESIZE 4
#define XCHAL_ICACHE_LINEWIDTH 2
#define XCHAL_DCACHE_LINEWIDTH 2
#define XCHAL_DCACHE_IS_WRITEBACK 0
#define XCHAL_HAVE_MMU 0
#define XCHAL_HAVE_DEBUG 1
#define XCHAL_NUM_IBREAK 2
#define XCHAL_NUM_DBREAK 2
#define XCHAL_DEBUGLEVEL 6

#define XTENSA_CONFIG_DEFINITION
#include "xtensa-dynconfig.h"
XTENSA_CONFIG_INSTANCE_LIST;

const char *const xtensa_config_strings[] = {NULL}; /* macros for C programs: none */
int plugin_is_GPL_compatible;                       /* GCC asks for it */

/* MULL is 0x82rst0, these differ in the first digit; registers are filled in by the assembler. */
static void encode_muluh(xtensa_insnbuf instruction)
{
    instruction[0] = 0xa20000;
}

static void encode_mulsh(xtensa_insnbuf instruction)
{
    instruction[0] = 0xb20000;
}

static xtensa_opcode_encode_fn muluh_encode_fns[] = {encode_muluh, NULL, NULL}; /* one for each slot */
static xtensa_opcode_encode_fn mulsh_encode_fns[] = {encode_mulsh, NULL, NULL};

#define OPCODES (sizeof opcodes / sizeof opcodes[0])
static struct xtensa_opcode_internal_struct all_opcodes[OPCODES + 2] = {
    [OPCODES] = {"muluh", ICLASS_xt_mul32, 0, muluh_encode_fns, 0, NULL},
    [OPCODES + 1] = {"mulsh", ICLASS_xt_mul32, 0, mulsh_encode_fns, 0, NULL},
};

__attribute__((constructor)) static void add_opcodes(void)
{
    memcpy(all_opcodes, opcodes, sizeof opcodes);
    xtensa_modules.opcodes = all_opcodes;
    xtensa_modules.num_opcodes = OPCODES + 2;
}
