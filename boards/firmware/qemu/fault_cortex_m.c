/* A hard fault says where it happened and ends QEMU with exit code 1, so that the computer notices. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SCB_CFSR (*(volatile uint32_t *)0xe000ed28)
#define SCB_BFAR (*(volatile uint32_t *)0xe000ed38)

/* `frame` is what the processor pushed: R0-R3, R12, LR, PC, xPSR. */
__attribute__((used, noreturn)) static void report_fault(const uint32_t *frame)
{
    printf("\nHardFault: PC %08lx, LR %08lx, status %08lx, address %08lx\n", (unsigned long)frame[6],
           (unsigned long)frame[5], (unsigned long)SCB_CFSR, (unsigned long)SCB_BFAR);
    exit(1);
}

__attribute__((naked)) void __wrap_HardFault_Handler(void)
{
    __asm volatile("mov r0, sp\n\tb %0" ::"i"(report_fault));
}
