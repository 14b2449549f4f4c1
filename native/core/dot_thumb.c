/* Compiles dot products to Thumb instructions of ARMv6-M. What the code does for each pair:
 *
 *     head      r8, r9 (and r10, r11 for a second output channel) = bias
 *     taps      for every four words: ldmia r6!, {r2-r5}; for each of them and each weight that is not zero:
 *                   movs r7, #magnitude; muls r7, word; adds/subs accumulator, r7
 *               where the sum for pixel 0 might leave 16 bits, the accumulator (r0, r1) is unpacked into r8-r11
 *     outputs   requantisation, and the outputs are stored
 *     the next pair, or the end
 *
 * r6: the next word. r12: the output of pixel 0. r14: r6 during `outputs`. Stack: the pair to end at, the distance
 * of pixel 1's output, the return address.
 */
#include "dot.h"

#if SMG_THUMB_1

#include "thumb.h"

enum { R0, R1, R2, R3, R4, R5, R6, R7, R8, R12 = 12, R14 = 14 };
enum { ACCUMULATOR = R0, VALUES = R2, WORDS = R6, TEMPORARY = R7, SUMS = R8 };
enum { STACK_END, STACK_DISTANCE, STACK_RETURN };

#define NO_SEGMENT 1024   /* more than the 255 that the magnitudes of a segment's weights may add up to */
#define PRODUCT 8         /* halfwords that a weight can take: three, and unpacking before it */
#define REST(channels) (44 + 72 * (channels)) /* halfwords that everything but the taps can take */

/* A block of code starts with this. */
struct block {
    uint32_t bytes;
    uint32_t entry; /* halfwords from the start of the block */
};

enum { POOL_LIMIT = 20 };

struct emitter {
    uint16_t *next;
    uint16_t *end;
    uint32_t pool_count;
    uint32_t pool[POOL_LIMIT];    /* constants that follow the code */
    uint16_t *sites[POOL_LIMIT]; /* the instruction that refers to each, or null */
};

static inline void emit(struct emitter *emitter, uint16_t instruction)
{
    *emitter->next++ = instruction;
}

/* An instruction (ldr or adr without its offset) that refers to a constant. */
static void emit_constant(struct emitter *emitter, uint16_t instruction, uint32_t value)
{
    emitter->pool[emitter->pool_count] = value;
    emitter->sites[emitter->pool_count++] = emitter->next;
    emit(emitter, instruction);
}

static void emit_pool(struct emitter *emitter)
{
    if ((uintptr_t)emitter->next % 4 != 0) {
        emit(emitter, 0);
    }
    for (uint32_t i = 0; i < emitter->pool_count; ++i) {
        uint16_t *site = emitter->sites[i];
        if (site != NULL) {
            uintptr_t base = ((uintptr_t)site + 4) & ~(uintptr_t)3;
            *site = (uint16_t)(*site | ((uintptr_t)emitter->next - base) / 4);
        }
        emit(emitter, (uint16_t)emitter->pool[i]);
        emit(emitter, (uint16_t)(emitter->pool[i] >> 16));
    }
}

static void emit_add(struct emitter *emitter, uint32_t rd, int32_t value)
{
    uint32_t rest = (uint32_t)(value < 0 ? -value : value);
    while (rest != 0) {
        uint32_t part = rest < 252 ? rest : 252;
        emit(emitter, value < 0 ? thumb_subs_immediate(rd, part) : thumb_adds_immediate(rd, part));
        rest -= part;
    }
}

/* What the instructions for one channel's products are made of. emit_products knows where each field is. */
struct lane {
    const int8_t *weights; /* 0: of the next tap */
    uint32_t magnitudes;   /* 4: of the segment so far; NO_SEGMENT before the first */
    uint16_t unpack[5];    /* 8: sum of pixel 0 += low half, sum of pixel 1 += high half */
    uint16_t load;         /* 18: movs accumulator, #0 */
    uint16_t negate;       /* 20: negs accumulator, accumulator */
    uint16_t add;          /* 22: adds accumulator, accumulator, r7 */
    uint16_t multiply;     /* 24: muls accumulator, r2, less muls r7, r2, modulo 2^16 */
};

static void open_lane(struct lane *lane, uint32_t channel, const int8_t *weights)
{
    uint32_t accumulator = ACCUMULATOR + channel;
    uint32_t sums = SUMS + 2 * channel;
    lane->weights = weights;
    lane->magnitudes = NO_SEGMENT;
    lane->unpack[0] = thumb_sxth(TEMPORARY, accumulator);
    lane->unpack[1] = thumb_add_to_high(sums, TEMPORARY);
    lane->unpack[2] = thumb_subs(accumulator, accumulator, TEMPORARY);
    lane->unpack[3] = thumb_asrs(accumulator, accumulator, 16);
    lane->unpack[4] = thumb_add_to_high(sums + 1, accumulator);
    lane->load = thumb_movs_immediate(accumulator, 0);
    lane->negate = thumb_negs(accumulator, accumulator);
    lane->add = thumb_adds(accumulator, accumulator, TEMPORARY);
    lane->multiply = (uint16_t)(accumulator - TEMPORARY);
}

/* Instructions for the products of `count` weights with the words in r2 and on; returns where the next ones go. For a
 * weight: nothing if it is zero; else movs r7, #magnitude; muls r7, word; adds or subs accumulator, accumulator, r7.
 * If the magnitudes of the segment leave no room for it, the accumulator is unpacked and starts with this product.
 * In assembly because it runs once for each weight: 26 cycles for most, and 60 for the call. */
__attribute__((naked)) static uint16_t *emit_products(SMG_READ_BY_ASSEMBLY uint16_t *next,
                                                      SMG_READ_BY_ASSEMBLY struct lane *lane,
                                                      SMG_READ_BY_ASSEMBLY uint32_t count)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "mov r4, r8\n"
                   "mov r5, r9\n"
                   "mov r6, r10\n"
                   "push {r4-r6}\n"
                   "mov r10, r1\n"
                   "movs r3, #0x27\n" /* movs r7, #0 */
                   "lsls r3, r3, #8\n"
                   "mov r8, r3\n"
                   "ldrh r3, [r1, #22]\n"
                   "mov r9, r3\n"
                   "ldr r3, [r1]\n"
                   "ldr r4, [r1, #4]\n"
                   "movs r5, #0x43\n" /* muls r7, r2 */
                   "lsls r5, r5, #8\n"
                   "adds r5, #0x57\n"
                   "1:\n"
                   "movs r6, #0\n"
                   "ldrsb r6, [r3, r6]\n"
                   "adds r3, #1\n"
                   "asrs r7, r6, #31\n"
                   "eors r6, r7\n"
                   "subs r6, r6, r7\n"
                   "beq 2f\n"
                   "adds r4, r4, r6\n"
                   "cmp r4, #255\n"
                   "bhi 4f\n"
                   "add r6, r8\n"
                   "strh r6, [r0]\n"
                   "strh r5, [r0, #2]\n"
                   "lsls r7, r7, #9\n" /* ADDS + 0x200 is SUBS */
                   "mov r6, r9\n"
                   "subs r6, r6, r7\n"
                   "strh r6, [r0, #4]\n"
                   "adds r0, #6\n"
                   "2:\n"
                   "adds r5, #8\n" /* the next word */
                   "subs r2, #1\n"
                   "bne 1b\n"
                   "mov r1, r10\n"
                   "str r3, [r1]\n"
                   "str r4, [r1, #4]\n"
                   "pop {r4-r6}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "mov r10, r6\n"
                   "pop {r4-r7, pc}\n"
                   "4:\n"
                   "mov r1, r10\n"
                   "lsrs r4, r4, #10\n"
                   "bne 5f\n"
                   "ldrh r4, [r1, #8]\n"
                   "strh r4, [r0]\n"
                   "ldrh r4, [r1, #10]\n"
                   "strh r4, [r0, #2]\n"
                   "ldrh r4, [r1, #12]\n"
                   "strh r4, [r0, #4]\n"
                   "ldrh r4, [r1, #14]\n"
                   "strh r4, [r0, #6]\n"
                   "ldrh r4, [r1, #16]\n"
                   "strh r4, [r0, #8]\n"
                   "adds r0, #10\n"
                   "5:\n"
                   "ldrh r4, [r1, #18]\n"
                   "adds r4, r4, r6\n"
                   "strh r4, [r0]\n"
                   "ldrh r4, [r1, #24]\n"
                   "adds r4, r4, r5\n"
                   "strh r4, [r0, #2]\n"
                   "adds r0, #4\n"
                   "movs r4, r6\n"
                   "cmp r7, #0\n"
                   "beq 2b\n"
                   "ldrh r7, [r1, #20]\n"
                   "strh r7, [r0]\n"
                   "adds r0, #2\n"
                   "b 2b\n");
}

static bool emit_taps(struct emitter *emitter, const struct smg_dot *dot)
{
    uint32_t gap = 4 * (dot->row_words - dot->columns);
    struct lane lanes[2];
    for (uint32_t channel = 0; channel < dot->count; ++channel) {
        open_lane(&lanes[channel], channel, dot->weights + channel * dot->rows * dot->columns);
    }
    for (uint32_t row = 0; row < dot->rows; ++row) {
        if (row != 0) {
            emit_add(emitter, WORDS, (int32_t)gap);
        }
        for (uint32_t left = dot->columns, count; left != 0; left -= count) {
            count = left < 4 ? left : 4;
            if (emitter->end - emitter->next < (int32_t)(1 + count * dot->count * PRODUCT)) {
                return false;
            }
            emit(emitter, thumb_ldmia(WORDS, VALUES, count));
            for (uint32_t channel = 0; channel < dot->count; ++channel) {
                emitter->next = emit_products(emitter->next, &lanes[channel], count);
            }
        }
    }
    for (uint32_t channel = 0; channel < dot->count; ++channel) {
        for (uint32_t i = 0; i < 5 && lanes[channel].magnitudes != NO_SEGMENT; ++i) {
            emit(emitter, lanes[channel].unpack[i]);
        }
    }
    return true;
}

/* How the outputs of a channel are requantised. With n = -shift, the multiplier is
 * (high * 2^bits + low) * 2^(31 - 2 * bits), and the products of a sum below 2^(31 - bits) with high and low fit 32
 * bits. Larger sums saturate: from 2^(9 + n) on, for multipliers of 2^30 and more. */
struct plan {
    uint32_t bits; /* 0: by calling output_of */
    uint32_t shift;
    uint32_t constants[3]; /* high, low, half; or what is called and its arguments */
};

/* What compiled code calls. */
static int8_t output_of(const struct smg_channels *channels, uint32_t channel, uint32_t accumulator)
{
    struct smg_channel numbers;
    smg_channels_read(channels, channel, &numbers);
    return smg_channel_output(channels->step, &numbers, accumulator);
}

static struct plan plan_channel(const struct smg_channels *channels, uint32_t channel)
{
    struct plan plan;
    struct smg_channel numbers;
    smg_channels_read(channels, channel, &numbers);
    uint32_t multiplier = (uint32_t)numbers.multiplier;
    int32_t shift = numbers.shift;
    uint32_t bits = shift >= -8 ? 14 : (uint32_t)(22 + shift);
    uint32_t unused = 31 - 2 * bits;
    plan.shift = (uint32_t)-shift;
    if (shift > 0 || shift < -10 || multiplier >> 30 == 0 || (multiplier & ((UINT32_C(1) << unused) - 1)) != 0) {
        plan.bits = 0;
        plan.constants[0] = (uint32_t)(uintptr_t)channels;
        plan.constants[1] = channel;
        plan.constants[2] = (uint32_t)(uintptr_t)output_of;
        return plan;
    }
    plan.bits = bits;
    plan.constants[0] = multiplier >> (unused + bits);
    plan.constants[1] = multiplier >> unused & ((UINT32_C(1) << bits) - 1);
    plan.constants[2] = UINT32_C(1) << (bits - 1);
    return plan;
}

/* r1 = 0 or `highest`, by the sign of r0. Four halfwords. */
static void emit_saturation(struct emitter *emitter, uint32_t highest)
{
    emit(emitter, thumb_mvns(R1, R0));
    emit(emitter, thumb_asrs(R1, R1, 31));
    emit(emitter, thumb_movs_immediate(R0, highest));
    emit(emitter, thumb_ands(R1, R0));
}

/* The output of r0, from 0 up to `highest`, in r1. The lowest output stands for the zero point: what is below it need
 * not be rounded, and both roundings are one, in r4. */
static void emit_positive(struct emitter *emitter, const struct plan *plan, uint32_t highest)
{
    emit(emitter, thumb_lsrs(R1, R0, 31 - plan->bits));
    emit(emitter, thumb_bne(10)); /* negative or large */
    emit(emitter, thumb_lsls(R1, R0, 0));
    emit(emitter, thumb_muls(R1, R2));
    emit(emitter, thumb_muls(R0, R3));
    emit(emitter, thumb_lsrs(R0, R0, plan->bits));
    emit(emitter, thumb_adds(R1, R1, R0));
    emit(emitter, thumb_adds(R1, R1, R4));
    emit(emitter, thumb_lsrs(R1, R1, plan->bits + plan->shift));
    emit(emitter, thumb_cmp_immediate(R1, highest));
    emit(emitter, thumb_bls(5));
    emit_saturation(emitter, highest); /* r0 is positive here */
}

/* The same for any zero point: to the nearest at each step, halves away from zero at the second. above: the zero
 * point minus the lowest output. */
static void emit_signed(struct emitter *emitter, const struct plan *plan, int32_t above, uint32_t highest)
{
    emit(emitter, thumb_asrs(R1, R0, 31 - plan->bits));
    emit(emitter, thumb_adds_immediate(R1, 1));
    emit(emitter, thumb_cmp_immediate(R1, 1));
    uint16_t *large = emitter->next++;
    emit(emitter, thumb_lsls(R1, R0, 0));
    emit(emitter, thumb_muls(R1, R2));
    emit(emitter, thumb_muls(R0, R3));
    emit(emitter, thumb_asrs(R0, R0, plan->bits));
    emit(emitter, thumb_adds(R1, R1, R0));
    emit(emitter, thumb_adds(R1, R1, R4));
    emit(emitter, thumb_asrs(R1, R1, plan->bits));
    if (plan->shift != 0) {
        emit(emitter, thumb_asrs(R0, R1, 31));
        emit(emitter, thumb_adds(R1, R1, R0));
        emit_add(emitter, R1, INT32_C(1) << (plan->shift - 1));
        emit(emitter, thumb_asrs(R1, R1, plan->shift));
    }
    emit_add(emitter, R1, above);
    emit(emitter, thumb_cmp_immediate(R1, highest));
    emit(emitter, thumb_bls(6));
    emit(emitter, thumb_lsls(R0, R1, 0));
    *large = thumb_bhi((int32_t)(emitter->next - large));
    emit_saturation(emitter, highest);
}

/* Both pixels' outputs of one channel, stored at r6 and r6 + r5. */
static void emit_outputs(struct emitter *emitter, const struct smg_dot *dot, uint32_t channel)
{
    const struct smg_step *step = dot->channels->step;
    int32_t lowest = step->record->activation_min;
    int32_t above = step->output->zero_point - lowest;
    uint32_t highest = (uint32_t)(step->record->activation_max - lowest);
    struct plan plan = plan_channel(dot->channels, dot->channel + channel);
    if (plan.bits != 0 && above == 0 && plan.shift != 0) {
        plan.constants[2] += plan.constants[2] << plan.shift;
    }
    if (plan.bits != 0) {
        emit_constant(emitter, thumb_adr(R7, 0), plan.constants[0]);
        for (uint32_t i = 1; i < 3; ++i) {
            emitter->pool[emitter->pool_count] = plan.constants[i];
            emitter->sites[emitter->pool_count++] = NULL;
        }
        emit(emitter, thumb_ldmia(R7, R2, 3));
    }
    for (uint32_t pixel = 2; pixel-- > 0;) {
        uint32_t sum = SUMS + 2 * channel + pixel;
        if (plan.bits == 0) {
            emit_constant(emitter, thumb_ldr_literal(R0, 0), plan.constants[0]);
            emit_constant(emitter, thumb_ldr_literal(R1, 0), plan.constants[1]);
            emit_constant(emitter, thumb_ldr_literal(R3, 0), plan.constants[2]);
            emit(emitter, thumb_mov_from_high(R2, sum));
            emit(emitter, thumb_mov_from_high(R7, R14));
            emit(emitter, thumb_push(1 << R6 | 1 << R7));
            emit(emitter, thumb_blx(R3));
            emit(emitter, thumb_pop(1 << R6 | 1 << R7));
            emit(emitter, thumb_mov_to_high(R14, R7));
            emit(emitter, thumb_lsls(R1, R0, 0));
        } else {
            emit(emitter, thumb_mov_from_high(R0, sum));
            if (above == 0) {
                emit_positive(emitter, &plan, highest);
            } else {
                emit_signed(emitter, &plan, above, highest);
            }
            emit_add(emitter, R1, lowest);
        }
        emit(emitter, pixel == 1 ? thumb_strb_register(R1, R6, R5) : thumb_strb(R1, R6, 0));
    }
}

/* rd += value */
static void emit_step(struct emitter *emitter, uint32_t rd, int32_t value)
{
    if (value > -505 && value < 505) {
        emit_add(emitter, rd, value);
    } else {
        emit_constant(emitter, thumb_ldr_literal(R0, 0), (uint32_t)value);
        emit(emitter, thumb_adds(rd, rd, R0));
    }
}

static uint32_t channel_bias(const struct smg_dot *dot, uint32_t channel)
{
    struct smg_channel numbers;
    smg_channels_read(dot->channels, dot->channel + channel, &numbers);
    return numbers.bias;
}

/* Everything after the taps; returns where the code is entered. */
static const uint16_t *emit_rest(struct emitter *emitter, const struct smg_dot *dot, const uint16_t *taps)
{
    emit(emitter, thumb_mov_to_high(R14, R6));
    emit(emitter, thumb_mov_from_high(R6, R12));
    emit(emitter, thumb_ldr_stack(R5, STACK_DISTANCE));
    for (uint32_t channel = 0; channel < dot->count; ++channel) {
        if (channel != 0) {
            emit(emitter, thumb_adds_immediate(R6, 1));
        }
        emit_outputs(emitter, dot, channel);
    }
    emit_step(emitter, R6, (int32_t)(dot->output_step - (dot->count - 1)));
    emit(emitter, thumb_mov_to_high(R12, R6));
    emit(emitter, thumb_mov_from_high(R6, R14));
    emit_step(emitter, R6,
              4 * (int32_t)(dot->pair_words - ((dot->rows - 1) * dot->row_words + dot->columns)));
    emit(emitter, thumb_ldr_stack(R7, STACK_END));
    emit(emitter, thumb_cmp(R6, R7));
    emit(emitter, thumb_bne(3));
    emit(emitter, thumb_ldr_stack(R0, STACK_RETURN));
    emit(emitter, thumb_bx(R0));
    const uint16_t *entry = emitter->next;
    for (uint32_t channel = 0; channel < dot->count; ++channel) {
        emit_constant(emitter, thumb_ldr_literal(R0, 0), channel_bias(dot, channel));
        emit(emitter, thumb_mov_to_high(SUMS + 2 * channel, R0));
        emit(emitter, thumb_mov_to_high(SUMS + 2 * channel + 1, R0));
    }
    if (emitter->next - taps < 1000) {
        emit(emitter, thumb_b((int32_t)(taps - emitter->next)));
    } else {
        emit_constant(emitter, thumb_ldr_literal(R0, 0), (uint32_t)(uintptr_t)taps | 1);
        emit(emitter, thumb_bx(R0));
    }
    emit_pool(emitter);
    return entry;
}

uint32_t smg_dot_compile(const struct smg_dot *dot, void *code, uint32_t bytes)
{
    uint32_t gap = 4 * (dot->row_words - dot->columns);
    uint32_t rest = REST(dot->count) + (dot->rows - 1) * (smg_divide(gap, 252) + 1);
    if (bytes < sizeof(struct block) + 2 * rest) {
        return 0;
    }
    struct block *block = code;
    uint16_t *taps = (uint16_t *)(block + 1);
    struct emitter emitter;
    emitter.next = taps;
    emitter.end = (uint16_t *)code + bytes / 2 - rest;
    emitter.pool_count = 0;
    if (!emit_taps(&emitter, dot)) {
        return 0;
    }
    const uint16_t *entry = emit_rest(&emitter, dot, taps);
    block->bytes = (uint32_t)((uint8_t *)emitter.next - (uint8_t *)code);
    block->entry = (uint32_t)(entry - (const uint16_t *)code);
    return block->bytes;
}

/* call(entry, words, end, outputs, distance): runs compiled code, whose registers and stack are described above. */
__attribute__((naked)) static void
call(SMG_READ_BY_ASSEMBLY const void *entry, SMG_READ_BY_ASSEMBLY const uint32_t *words,
     SMG_READ_BY_ASSEMBLY const uint32_t *end, SMG_READ_BY_ASSEMBLY int8_t *outputs,
     SMG_READ_BY_ASSEMBLY uint32_t distance)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "mov r4, r8\n"
                   "mov r5, r9\n"
                   "mov r6, r10\n"
                   "mov r7, r11\n"
                   "push {r4-r7}\n"
                   "ldr r4, [sp, #36]\n"
                   "adr r5, 1f\n"
                   "adds r5, #1\n"
                   "push {r2, r4, r5}\n"
                   "mov r12, r3\n"
                   "movs r6, r1\n"
                   "dsb\n"
                   "isb\n"
                   "bx r0\n"
                   ".balign 4\n"
                   "1:\n"
                   "add sp, #12\n"
                   "pop {r4-r7}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "mov r10, r6\n"
                   "mov r11, r7\n"
                   "pop {r4-r7, pc}\n");
}

void smg_dot_run_code(const struct smg_dot *dot, const void *code, const struct smg_pairs *pairs)
{
    const struct block *block = code;
    const uint32_t *end = pairs->words + pairs->count * dot->pair_words;
    call((const uint8_t *)code + 2 * block->entry + 1, pairs->words, end, pairs->outputs, pairs->distance);
}

#endif
