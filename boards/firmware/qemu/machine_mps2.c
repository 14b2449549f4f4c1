/* Arm MPS2 boards AN385 (Cortex-M3) and AN386 (Cortex-M4): CMSDK UART, FPGA I/O timers, SysTick.
 * Addresses are those of Arm's application notes 385 and 386. */
#include "machine.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define UART0_CTRL REGISTER(0x40004008)
#define UART0_INTSTATUS REGISTER(0x4000400c)
#define UART_CTRL_TX (1u << 0)
#define UART_CTRL_RX (1u << 1)
#define UART_CTRL_RX_INTERRUPT (1u << 3)
#define UART_RX_INTERRUPT (1u << 1)
#define UART0_RX_IRQ 0

#define FPGAIO_CLK100HZ REGISTER(0x40028014)
#define FPGAIO_COUNTER REGISTER(0x40028018)
#define FPGAIO_PRESCALE REGISTER(0x4002801c)

#define CLOCK_HZ 25000000u

#define SYSTICK_CTRL REGISTER(0xe000e010)
#define SYSTICK_LOAD REGISTER(0xe000e014)
#define SYSTICK_VALUE REGISTER(0xe000e018)
#define SYSTICK_RUN 7u /* enabled, raises its exception, counts the processor's clock */
#define SYSTICK_MAX 0xffffffu
#define NVIC_ENABLE REGISTER(0xe000e100)
#define SCB_ICSR REGISTER(0xe000ed04)
#define SCB_ICSR_CLEAR_SYSTICK (1u << 25)
#define SCB_VTOR REGISTER(0xe000ed08)
#define SCB_CPACR REGISTER(0xe000ed88)
#define SCB_CPACR_FPU (0xfu << 20)

#define SEMIHOSTING_EXIT_EXTENDED 0x20u
#define SEMIHOSTING_APPLICATION_EXIT 0x20026u

#define SYSTEM_VECTORS 16

extern const uint32_t isr_vector[SYSTEM_VECTORS]; /* upstream's */

uint8_t *const machine_ram_disk = (uint8_t *)0x21000000; /* in the 16 MiB of PSRAM */
uint8_t *const machine_romfs = (uint8_t *)0x21800000;

/* Upstream's table, and interrupt 0. */
static uint32_t vectors[SYSTEM_VECTORS + 1] __attribute__((aligned(128)));
static volatile bool received;

static void uart_interrupt(void)
{
    UART0_INTSTATUS = UART_RX_INTERRUPT;
    received = true;
    machine_received();
}

void machine_init(void)
{
#ifdef __ARM_FP
    SCB_CPACR |= SCB_CPACR_FPU;
#endif
    for (int i = 0; i < SYSTEM_VECTORS; ++i) {
        vectors[i] = isr_vector[i];
    }
    vectors[SYSTEM_VECTORS + UART0_RX_IRQ] = (uint32_t)uart_interrupt;
    SCB_VTOR = (uint32_t)vectors;
    FPGAIO_PRESCALE = CLOCK_HZ / 1000000 - 1;
    FPGAIO_COUNTER = 0;
    FPGAIO_CLK100HZ = 0;
    machine_listen(true);
    NVIC_ENABLE = 1u << UART0_RX_IRQ;
}

void machine_listen(bool on)
{
    UART0_CTRL = UART_CTRL_TX | UART_CTRL_RX | (on ? UART_CTRL_RX_INTERRUPT : 0);
}

/* The counter of microseconds wraps after 71 minutes. The counter of hundredths, started at the same time, says how
 * often it did. */
uint64_t machine_microseconds(void)
{
    uint64_t coarse = FPGAIO_CLK100HZ * UINT64_C(10000);
    uint32_t fine = FPGAIO_COUNTER;
    return coarse + (uint64_t)(int32_t)(fine - (uint32_t)coarse);
}

void machine_wait(int32_t milliseconds)
{
    uint32_t enabled = machine_disable_interrupts(); /* a pending interrupt still ends wfi */
    if (!received) {
        if (milliseconds >= 0) {
            uint32_t longest = SYSTICK_MAX / (CLOCK_HZ / 1000);
            uint32_t wait = (uint32_t)milliseconds < longest ? (uint32_t)milliseconds : longest;
            SYSTICK_LOAD = wait == 0 ? 1 : wait * (CLOCK_HZ / 1000);
            SYSTICK_VALUE = 0;
            SYSTICK_CTRL = SYSTICK_RUN;
        }
        __asm volatile("dsb\n\twfi" ::: "memory");
        SYSTICK_CTRL = 0;
        SCB_ICSR = SCB_ICSR_CLEAR_SYSTICK; /* it woke us, and that was all */
    }
    received = false;
    machine_restore_interrupts(enabled);
}

uint32_t machine_disable_interrupts(void)
{
    uint32_t primask;
    __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(primask)::"memory");
    return primask;
}

void machine_restore_interrupts(uint32_t enabled)
{
    __asm volatile("msr primask, %0" ::"r"(enabled) : "memory");
}

/* Upstream's exit uses a call that knows success and failure only. */
void machine_exit(int code)
{
    const uint32_t arguments[2] = { SEMIHOSTING_APPLICATION_EXIT, (uint32_t)code };
    register uint32_t call __asm("r0") = SEMIHOSTING_EXIT_EXTENDED;
    register const uint32_t *block __asm("r1") = arguments;
    __asm volatile("bkpt 0xab" : "+r"(call) : "r"(block) : "memory");
    for (;;) {
    }
}
