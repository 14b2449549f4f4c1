/* Thumb instructions of ARMv6-M, as halfwords. r: r0 .. r7; h: r8 .. r14; immediates as the names say. */
#ifndef SMG_THUMB_H
#define SMG_THUMB_H

#include <stdint.h>

#define THUMB(name, parameters, value)                                                                                \
    static inline uint16_t thumb_##name parameters                                                                    \
    {                                                                                                                 \
        return (uint16_t)(value);                                                                                     \
    }

THUMB(movs_immediate, (uint32_t rd, uint32_t imm8), 0x2000 | rd << 8 | imm8)
THUMB(cmp_immediate, (uint32_t rn, uint32_t imm8), 0x2800 | rn << 8 | imm8)
THUMB(cmp, (uint32_t rn, uint32_t rm), 0x4280 | rm << 3 | rn)
THUMB(adds_immediate, (uint32_t rd, uint32_t imm8), 0x3000 | rd << 8 | imm8)
THUMB(subs_immediate, (uint32_t rd, uint32_t imm8), 0x3800 | rd << 8 | imm8)
THUMB(adds, (uint32_t rd, uint32_t rn, uint32_t rm), 0x1800 | rm << 6 | rn << 3 | rd)
THUMB(subs, (uint32_t rd, uint32_t rn, uint32_t rm), 0x1A00 | rm << 6 | rn << 3 | rd)
THUMB(muls, (uint32_t rd, uint32_t rm), 0x4340 | rm << 3 | rd)
THUMB(ands, (uint32_t rd, uint32_t rm), 0x4000 | rm << 3 | rd)
THUMB(negs, (uint32_t rd, uint32_t rm), 0x4240 | rm << 3 | rd)
THUMB(mvns, (uint32_t rd, uint32_t rm), 0x43C0 | rm << 3 | rd)
THUMB(sxth, (uint32_t rd, uint32_t rm), 0xB200 | rm << 3 | rd)
THUMB(lsls, (uint32_t rd, uint32_t rm, uint32_t imm5), 0x0000 | imm5 << 6 | rm << 3 | rd) /* 0: movs */
THUMB(lsrs, (uint32_t rd, uint32_t rm, uint32_t imm5), 0x0800 | imm5 << 6 | rm << 3 | rd) /* 1 .. 31 */
THUMB(asrs, (uint32_t rd, uint32_t rm, uint32_t imm5), 0x1000 | imm5 << 6 | rm << 3 | rd) /* 1 .. 31 */
THUMB(mov_from_high, (uint32_t rd, uint32_t hm), 0x4600 | hm << 3 | rd)
THUMB(mov_to_high, (uint32_t hd, uint32_t rm), 0x4600 | 0x80 | rm << 3 | (hd & 7))
THUMB(add_to_high, (uint32_t hd, uint32_t rm), 0x4400 | 0x80 | rm << 3 | (hd & 7))
THUMB(bx, (uint32_t rm), 0x4700 | rm << 3)
THUMB(blx, (uint32_t rm), 0x4780 | rm << 3)
THUMB(ldr_literal, (uint32_t rd, uint32_t words), 0x4800 | rd << 8 | words)
THUMB(adr, (uint32_t rd, uint32_t words), 0xA000 | rd << 8 | words)
THUMB(ldr_stack, (uint32_t rd, uint32_t words), 0x9800 | rd << 8 | words)
THUMB(ldmia, (uint32_t rn, uint32_t first, uint32_t count), 0xC800 | rn << 8 | ((1u << count) - 1) << first)
THUMB(strb, (uint32_t rt, uint32_t rn, uint32_t imm5), 0x7000 | imm5 << 6 | rn << 3 | rt)
THUMB(strb_register, (uint32_t rt, uint32_t rn, uint32_t rm), 0x5400 | rm << 6 | rn << 3 | rt)
THUMB(push, (uint32_t list), 0xB400 | list)
THUMB(pop, (uint32_t list), 0xBC00 | list)
/* Branches: distance in halfwords from this instruction to the target. */
THUMB(b, (int32_t distance), 0xE000 | ((uint32_t)(distance - 2) & 0x7FF))          /* -1022 .. 1025 */
THUMB(beq, (int32_t distance), 0xD000 | ((uint32_t)(distance - 2) & 0xFF))         /* -126 .. 129 */
THUMB(bne, (int32_t distance), 0xD100 | ((uint32_t)(distance - 2) & 0xFF))
THUMB(bhi, (int32_t distance), 0xD800 | ((uint32_t)(distance - 2) & 0xFF))
THUMB(bls, (int32_t distance), 0xD900 | ((uint32_t)(distance - 2) & 0xFF))

#undef THUMB

#endif
