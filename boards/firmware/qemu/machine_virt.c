/* QEMU's RISC-V machine "virt": 16550 UART, PLIC, CLINT timer. Addresses are those of its device tree. */
#include "machine.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define REGISTER8(address) (*(volatile uint8_t *)(address))

#define UART0_IER REGISTER8(0x10000001)
#define UART0_FCR REGISTER8(0x10000002)
#define UART_IER_RECEIVED 1u
#define UART_FCR_FIFO 1u
#define UART0_IRQ 10

#define CLINT_MTIMECMP_LOW REGISTER(0x02004000)
#define CLINT_MTIMECMP_HIGH REGISTER(0x02004004)
#define CLINT_MTIME_LOW REGISTER(0x0200bff8)
#define CLINT_MTIME_HIGH REGISTER(0x0200bffc)
#define TIMER_HZ 10000000u

#define PLIC_PRIORITY(irq) REGISTER(0x0c000000 + 4 * (irq))
#define PLIC_ENABLE REGISTER(0x0c002000)
#define PLIC_THRESHOLD REGISTER(0x0c200000)
#define PLIC_CLAIM REGISTER(0x0c200004)

#define MSTATUS_MIE 8u
#define MIE_TIMER (1u << 7)
#define MIE_EXTERNAL (1u << 11)
#define MTVEC_VECTORED 1u

uint8_t *const machine_ram_disk = (uint8_t *)0x82000000; /* in the 128 MiB that "virt" has unless told otherwise */
uint8_t *const machine_romfs = (uint8_t *)0x84000000;

static volatile bool received;

void mtvec_exception(void); /* upstream's report of a fault */
void __real_exit(int status);

__attribute__((used, interrupt("machine"))) static void external_interrupt(void)
{
    uint32_t irq = PLIC_CLAIM;
    received = true;
    machine_received();
    PLIC_CLAIM = irq;
}

/* Vectors of exceptions and of interrupts 1 to 11; 11 is the PLIC. The timer never interrupts, it only ends wfi. */
__attribute__((naked, aligned(64))) static void vectors(void)
{
    __asm volatile(".option push\n"
                   ".option norvc\n"
                   "j mtvec_exception\n"
                   ".rept 10\n"
                   "j mtvec_exception\n"
                   ".endr\n"
                   "j external_interrupt\n"
                   ".option pop\n");
}

static uint64_t timer(void)
{
    uint32_t high;
    uint32_t low;
    do {
        high = CLINT_MTIME_HIGH;
        low = CLINT_MTIME_LOW;
    } while (high != CLINT_MTIME_HIGH);
    return (uint64_t)high << 32 | low;
}

static void set_alarm(uint64_t time)
{
    CLINT_MTIMECMP_HIGH = UINT32_MAX; /* no false alarm between the two halves */
    CLINT_MTIMECMP_LOW = (uint32_t)time;
    CLINT_MTIMECMP_HIGH = (uint32_t)(time >> 32);
}

void machine_init(void)
{
    machine_disable_interrupts();
    __asm volatile("csrw mtvec, %0" ::"r"((uint32_t)vectors | MTVEC_VECTORED));
    set_alarm(UINT64_MAX);
    UART0_FCR = UART_FCR_FIFO;
    machine_listen(true);
    PLIC_PRIORITY(UART0_IRQ) = 1;
    PLIC_THRESHOLD = 0;
    PLIC_ENABLE = 1u << UART0_IRQ;
    __asm volatile("csrs mie, %0" ::"r"(MIE_EXTERNAL));
    machine_restore_interrupts(MSTATUS_MIE);
}

void machine_listen(bool on)
{
    UART0_IER = on ? UART_IER_RECEIVED : 0;
}

uint64_t machine_microseconds(void)
{
    return timer() / (TIMER_HZ / 1000000);
}

void machine_wait(int32_t milliseconds)
{
    uint32_t enabled = machine_disable_interrupts(); /* a pending interrupt still ends wfi */
    if (!received) {
        if (milliseconds >= 0) {
            set_alarm(timer() + (uint64_t)milliseconds * (TIMER_HZ / 1000));
            __asm volatile("csrs mie, %0" ::"r"(MIE_TIMER));
        }
        __asm volatile("wfi" ::: "memory");
        __asm volatile("csrc mie, %0" ::"r"(MIE_TIMER));
    }
    received = false;
    machine_restore_interrupts(enabled);
}

uint32_t machine_disable_interrupts(void)
{
    uint32_t mstatus;
    __asm volatile("csrrc %0, mstatus, %1" : "=r"(mstatus) : "r"(MSTATUS_MIE) : "memory");
    return mstatus & MSTATUS_MIE;
}

void machine_restore_interrupts(uint32_t enabled)
{
    __asm volatile("csrs mstatus, %0" ::"r"(enabled) : "memory");
}

void machine_exit(int code)
{
    __real_exit(code);
}
