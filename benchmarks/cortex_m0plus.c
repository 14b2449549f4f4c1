/* A Cortex-M0+ with the RP2040's memory map, for measuring cycles: ARMv6-M Thumb without exceptions and system registers.
 *
 * Cycles are those of the Cortex-M0+ Technical Reference Manual, table "Instruction set summary", with the single-cycle
 * multiplier and memory without wait states; docs/performance.md has the table. Code runs from SRAM; data is in SRAM
 * or flash. Everything that a program must not do ends the run with a status: a figure of a wrong run is worth nothing.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SRAM 0x20000000u
#define FLASH 0x10000000u
#define SP 13
#define LR 14
#define PC 15

enum status { RUNNING = 0, RETURNED = 1, BAD_ADDRESS = 2, BAD_INSTRUCTION = 3, NO_END = 4 };

/* Shared with cortex_m0plus.py, field by field. */
struct machine {
    uint8_t *sram;
    uint8_t *flash;
    uint64_t *cycles_at; /* spent so far, for each halfword of the SRAM */
    uint32_t sram_bytes;
    uint32_t flash_bytes;
    uint32_t registers[16]; /* the program counter is the address of the instruction that is executed */
    uint32_t negative, zero, carry, overflow; /* each 0 or 1 */
    uint32_t status;
    uint32_t fault_address; /* of the access, for BAD_ADDRESS */
};

/* Memory. A bad access sets the status and reads as 0; the run ends after the instruction. */

static uint8_t *memory(struct machine *m, uint32_t address, uint32_t size)
{
    if (address % size == 0) {
        if (address - SRAM < m->sram_bytes) {
            return m->sram + (address - SRAM);
        }
        if (address - FLASH < m->flash_bytes) {
            return m->flash + (address - FLASH);
        }
    }
    m->status = BAD_ADDRESS;
    m->fault_address = address;
    return NULL;
}

static uint32_t load(struct machine *m, uint32_t address, uint32_t size)
{
    uint32_t value = 0;
    const uint8_t *place = memory(m, address, size);
    if (place != NULL) {
        memcpy(&value, place, size); /* this computer is little-endian as well */
    }
    return value;
}

static void store(struct machine *m, uint32_t address, uint32_t size, uint32_t value)
{
    uint8_t *place = memory(m, address, size);
    if (place != NULL) {
        memcpy(place, &value, size);
    }
}

/* Flags */

static uint32_t result(struct machine *m, uint32_t value)
{
    m->negative = value >> 31;
    m->zero = value == 0;
    return value;
}

static uint32_t add(struct machine *m, uint32_t a, uint32_t b, uint32_t carry)
{
    uint64_t wide = (uint64_t)a + b + carry;
    uint32_t sum = (uint32_t)wide;
    m->carry = (uint32_t)(wide >> 32);
    m->overflow = (~(a ^ b) & (a ^ sum)) >> 31;
    return result(m, sum);
}

static uint32_t subtract(struct machine *m, uint32_t a, uint32_t b)
{
    return add(m, a, ~b, 1);
}

enum shift { LEFT, RIGHT, ARITHMETIC };

static uint32_t shift(struct machine *m, enum shift kind, uint32_t value, uint32_t count)
{
    if (count == 0) {
        return result(m, value);
    }
    uint32_t steps = count > 33 ? 33 : count; /* further changes nothing */
    if (kind == LEFT) {
        uint64_t wide = (uint64_t)value << steps;
        m->carry = (uint32_t)(wide >> 32) & 1;
        return result(m, (uint32_t)wide);
    }
    int64_t wide = kind == RIGHT ? (int64_t)value : (int64_t)(int32_t)value;
    m->carry = (uint32_t)(wide >> (steps - 1)) & 1;
    return result(m, (uint32_t)(wide >> steps));
}

static uint32_t rotate(struct machine *m, uint32_t value, uint32_t count)
{
    if (count == 0) {
        return result(m, value);
    }
    uint32_t steps = count % 32;
    uint32_t rotated = steps == 0 ? value : value >> steps | value << (32 - steps);
    m->carry = rotated >> 31;
    return result(m, rotated);
}

static int condition(const struct machine *m, uint32_t code)
{
    int holds = 0;
    switch (code >> 1) {
    case 0: holds = m->zero != 0; break;
    case 1: holds = m->carry != 0; break;
    case 2: holds = m->negative != 0; break;
    case 3: holds = m->overflow != 0; break;
    case 4: holds = m->carry && !m->zero; break;
    case 5: holds = m->negative == m->overflow; break;
    case 6: holds = m->negative == m->overflow && !m->zero; break;
    default: break;
    }
    return holds != (int)(code & 1);
}

/* Instructions. Each function executes one and returns its cycles; `next` is the address of the following instruction
 * and is changed by branches. */

static uint32_t unknown(struct machine *m)
{
    m->status = BAD_INSTRUCTION;
    return 0;
}

static uint32_t shift_or_add(struct machine *m, uint32_t opcode)
{
    uint32_t *r = m->registers;
    uint32_t *rd = r + (opcode & 7);
    uint32_t value = r[opcode >> 3 & 7];
    uint32_t immediate = opcode >> 6 & 31;
    switch (opcode >> 11) {
    case 0: *rd = shift(m, LEFT, value, immediate); return 1;
    case 1: *rd = shift(m, RIGHT, value, immediate ? immediate : 32); return 1;
    case 2: *rd = shift(m, ARITHMETIC, value, immediate ? immediate : 32); return 1;
    default: break;
    }
    uint32_t operand = opcode & 0x400 ? opcode >> 6 & 7 : r[opcode >> 6 & 7];
    *rd = opcode & 0x200 ? subtract(m, value, operand) : add(m, value, operand, 0);
    return 1;
}

static uint32_t with_immediate(struct machine *m, uint32_t opcode)
{
    uint32_t *rd = m->registers + (opcode >> 8 & 7);
    uint32_t immediate = opcode & 255;
    switch (opcode >> 11 & 3) {
    case 0: *rd = result(m, immediate); break;
    case 1: subtract(m, *rd, immediate); break;
    case 2: *rd = add(m, *rd, immediate, 0); break;
    default: *rd = subtract(m, *rd, immediate); break;
    }
    return 1;
}

static uint32_t data_processing(struct machine *m, uint32_t opcode)
{
    uint32_t *rd = m->registers + (opcode & 7);
    uint32_t value = m->registers[opcode >> 3 & 7];
    switch (opcode >> 6 & 15) {
    case 0: *rd = result(m, *rd & value); break;
    case 1: *rd = result(m, *rd ^ value); break;
    case 2: *rd = shift(m, LEFT, *rd, value & 255); break;
    case 3: *rd = shift(m, RIGHT, *rd, value & 255); break;
    case 4: *rd = shift(m, ARITHMETIC, *rd, value & 255); break;
    case 5: *rd = add(m, *rd, value, m->carry); break;
    case 6: *rd = add(m, *rd, ~value, m->carry); break;
    case 7: *rd = rotate(m, *rd, value & 255); break;
    case 8: result(m, *rd & value); break;
    case 9: *rd = subtract(m, 0, value); break;
    case 10: subtract(m, *rd, value); break;
    case 11: add(m, *rd, value, 0); break;
    case 12: *rd = result(m, *rd | value); break;
    case 13: *rd = result(m, *rd * value); break;
    case 14: *rd = result(m, *rd & ~value); break;
    default: *rd = result(m, ~value); break;
    }
    return 1;
}

/* ADD, CMP, MOV with any register, BX, BLX */
static uint32_t any_register(struct machine *m, uint32_t opcode, uint32_t *next)
{
    uint32_t *r = m->registers;
    uint32_t d = (opcode & 7) | (opcode >> 4 & 8);
    uint32_t s = opcode >> 3 & 15;
    uint32_t value = r[s] + (s == PC ? 4 : 0);
    uint32_t kind = opcode >> 8 & 3;
    if (kind == 3) {
        if (opcode & 0x80) {
            r[LR] = *next | 1;
        }
        if (!(value & 1)) { /* there is no ARM state */
            return unknown(m);
        }
        *next = value & ~1u;
        return 2;
    }
    if (kind == 1) {
        subtract(m, r[d] + (d == PC ? 4 : 0), value);
        return 1;
    }
    if (kind == 0) {
        value += r[d] + (d == PC ? 4 : 0);
    }
    if (d == PC) {
        *next = value & ~1u;
        return 2;
    }
    r[d] = d == SP ? value & ~3u : value;
    return 1;
}

static uint32_t load_or_store(struct machine *m, uint32_t opcode)
{
    uint32_t *r = m->registers;
    uint32_t *rt = r + (opcode & 7);
    uint32_t base = r[opcode >> 3 & 7];
    uint32_t immediate = opcode >> 6 & 31;
    uint32_t is_load = opcode & 0x800;
    uint32_t size = 4;
    uint32_t address = 0;
    switch (opcode >> 12) {
    case 5:
        address = base + r[opcode >> 6 & 7];
        switch (opcode >> 9 & 7) {
        case 0: store(m, address, 4, *rt); break;
        case 1: store(m, address, 2, *rt); break;
        case 2: store(m, address, 1, *rt); break;
        case 3: *rt = (uint32_t)(int8_t)load(m, address, 1); break;
        case 4: *rt = load(m, address, 4); break;
        case 5: *rt = load(m, address, 2); break;
        case 6: *rt = load(m, address, 1); break;
        default: *rt = (uint32_t)(int16_t)load(m, address, 2); break;
        }
        return 2;
    case 6: address = base + immediate * 4; break;
    case 7: address = base + immediate, size = 1; break;
    case 8: address = base + immediate * 2, size = 2; break;
    default: /* 9: relative to the stack pointer */
        rt = r + (opcode >> 8 & 7);
        address = r[SP] + (opcode & 255) * 4;
        break;
    }
    if (is_load) {
        *rt = load(m, address, size);
    } else {
        store(m, address, size, *rt);
    }
    return 2;
}

static uint32_t load_literal(struct machine *m, uint32_t opcode)
{
    m->registers[opcode >> 8 & 7] = load(m, ((m->registers[PC] + 4) & ~3u) + (opcode & 255) * 4, 4);
    return 2;
}

static uint32_t make_address(struct machine *m, uint32_t opcode)
{
    uint32_t base = opcode & 0x800 ? m->registers[SP] : (m->registers[PC] + 4) & ~3u;
    m->registers[opcode >> 8 & 7] = base + (opcode & 255) * 4;
    return 1;
}

static uint32_t count_registers(uint32_t list)
{
    uint32_t count = 0;
    for (; list != 0; list &= list - 1) {
        ++count;
    }
    return count;
}

static uint32_t push(struct machine *m, uint32_t opcode)
{
    uint32_t *r = m->registers;
    uint32_t count = count_registers(opcode & 0x1FF);
    uint32_t address = r[SP] -= count * 4;
    for (uint32_t i = 0; i < 8; ++i) {
        if (opcode >> i & 1) {
            store(m, address, 4, r[i]);
            address += 4;
        }
    }
    if (opcode & 0x100) {
        store(m, address, 4, r[LR]);
    }
    return 1 + count;
}

static uint32_t pop(struct machine *m, uint32_t opcode, uint32_t *next)
{
    uint32_t *r = m->registers;
    uint32_t count = count_registers(opcode & 0x1FF);
    uint32_t address = r[SP];
    r[SP] += count * 4;
    for (uint32_t i = 0; i < 8; ++i) {
        if (opcode >> i & 1) {
            r[i] = load(m, address, 4);
            address += 4;
        }
    }
    if (opcode & 0x100) {
        *next = load(m, address, 4);
        if (!(*next & 1)) {
            return unknown(m);
        }
        *next &= ~1u;
        return 3 + count;
    }
    return 1 + count;
}

static uint32_t load_or_store_multiple(struct machine *m, uint32_t opcode)
{
    uint32_t *r = m->registers;
    uint32_t base = opcode >> 8 & 7;
    uint32_t address = r[base];
    for (uint32_t i = 0; i < 8; ++i) {
        if (opcode >> i & 1) {
            if (opcode & 0x800) {
                r[i] = load(m, address, 4);
            } else {
                store(m, address, 4, r[i]);
            }
            address += 4;
        }
    }
    if (!(opcode & 0x800) || !(opcode >> base & 1)) {
        r[base] = address;
    }
    return 1 + count_registers(opcode & 255);
}

static uint32_t miscellaneous(struct machine *m, uint32_t opcode, uint32_t *next)
{
    uint32_t *rd = m->registers + (opcode & 7);
    uint32_t value = m->registers[opcode >> 3 & 7];
    switch (opcode >> 8 & 15) {
    case 0:
        m->registers[SP] += opcode & 0x80 ? -((opcode & 127) * 4) : (opcode & 127) * 4;
        return 1;
    case 2:
        switch (opcode >> 6 & 3) {
        case 0: *rd = (uint32_t)(int16_t)value; break;
        case 1: *rd = (uint32_t)(int8_t)value; break;
        case 2: *rd = (uint16_t)value; break;
        default: *rd = (uint8_t)value; break;
        }
        return 1;
    case 4:
    case 5: return push(m, opcode);
    case 10:
        switch (opcode >> 6 & 3) {
        case 0: *rd = value >> 24 | (value >> 8 & 0xFF00) | (value & 0xFF00) << 8 | value << 24; return 1;
        case 1: *rd = (value >> 8 & 0xFF00FF) | (value & 0xFF00FF) << 8; return 1;
        case 3: *rd = (uint32_t)(int16_t)((value >> 8 & 255) | (value & 255) << 8); return 1;
        default: return unknown(m);
        }
    case 12:
    case 13: return pop(m, opcode, next);
    case 14: m->status = RETURNED; return 0; /* BKPT */
    case 15: return opcode == 0xBF00 ? 1 : unknown(m); /* NOP */
    default: return unknown(m);
    }
}

static uint32_t conditional_branch(struct machine *m, uint32_t opcode, uint32_t *next)
{
    uint32_t code = opcode >> 8 & 15;
    if (code >= 14) {
        return unknown(m); /* UDF, SVC */
    }
    if (!condition(m, code)) {
        return 1;
    }
    *next = m->registers[PC] + 4 + (uint32_t)(int8_t)opcode * 2;
    return 2;
}

static uint32_t branch(struct machine *m, uint32_t opcode, uint32_t *next)
{
    if (opcode & 0x800) {
        return unknown(m);
    }
    uint32_t offset = (opcode & 0x7FF) << 1;
    *next = m->registers[PC] + 4 + ((offset ^ 0x800) - 0x800);
    return 2;
}

static uint32_t branch_with_link(struct machine *m, uint32_t opcode, uint32_t *next)
{
    uint32_t second = load(m, *next, 2);
    if (opcode == 0xF3BF && second >= 0x8F40 && second <= 0x8F6F) { /* DSB, DMB, ISB: barriers */
        *next += 2;
        return 4;
    }
    if (opcode & 0x800 || (second & 0xD000) != 0xD000) {
        return unknown(m);
    }
    uint32_t sign = opcode >> 10 & 1;
    uint32_t high = (~(second >> 13 ^ sign) & 1) << 23 | (~(second >> 11 ^ sign) & 1) << 22;
    uint32_t offset = sign << 24 | high | (opcode & 0x3FF) << 12 | (second & 0x7FF) << 1;
    m->registers[LR] = (m->registers[PC] + 4) | 1;
    *next = m->registers[PC] + 4 + ((offset ^ 0x1000000) - 0x1000000);
    return 3;
}

static uint32_t execute(struct machine *m, uint32_t opcode, uint32_t *next)
{
    switch (opcode >> 12) {
    case 0:
    case 1: return shift_or_add(m, opcode);
    case 2:
    case 3: return with_immediate(m, opcode);
    case 4:
        if (opcode & 0x800) {
            return load_literal(m, opcode);
        }
        return opcode & 0x400 ? any_register(m, opcode, next) : data_processing(m, opcode);
    case 5:
    case 6:
    case 7:
    case 8:
    case 9: return load_or_store(m, opcode);
    case 10: return make_address(m, opcode);
    case 11: return miscellaneous(m, opcode, next);
    case 12: return load_or_store_multiple(m, opcode);
    case 13: return conditional_branch(m, opcode, next);
    case 14: return branch(m, opcode, next);
    default: return branch_with_link(m, opcode, next);
    }
}

/* Runs until a BKPT is reached or something is wrong; returns the status. The program counter then is the address of
 * the instruction that ended the run. */
uint32_t machine_run(struct machine *m, uint64_t instruction_limit)
{
    m->status = RUNNING;
    for (uint64_t i = 0; i < instruction_limit; ++i) {
        uint32_t address = m->registers[PC];
        uint32_t next = address + 2;
        if (address - SRAM >= m->sram_bytes - 2) {
            m->fault_address = address;
            return m->status = BAD_ADDRESS;
        }
        uint32_t cycles = execute(m, load(m, address, 2), &next);
        if (m->status != RUNNING) {
            return m->status;
        }
        m->cycles_at[(address - SRAM) / 2] += cycles;
        m->registers[PC] = next;
    }
    return m->status = NO_END;
}
