/* What the firmware needs from a machine that QEMU emulates, beyond upstream's uart.c. One machine_*.c implements it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory outside the heap. QEMU can fill a ROMFS (-device loader,file=...,addr=...); both are zero otherwise. */
#define MACHINE_RAM_DISK_BYTES (2u << 20)
#define MACHINE_ROMFS_BYTES (8u << 20)
extern uint8_t *const machine_ram_disk;
extern uint8_t *const machine_romfs;

/* Once, after uart_init and before any Python. From then on a byte received calls machine_received, in an interrupt. */
void machine_init(void);
void machine_received(void);

/* Whether a byte received interrupts. */
void machine_listen(bool on);

/* Microseconds since power-on. */
uint64_t machine_microseconds(void);

/* Sleeps until a byte was received since the last call, or for up to `milliseconds`; without an end if it is negative.
 * May return early. */
void machine_wait(int32_t milliseconds);

/* Nothing interrupts what stands between the two. `enabled` is what the first returned. */
uint32_t machine_disable_interrupts(void);
void machine_restore_interrupts(uint32_t enabled);

/* Ends QEMU with this exit code. Does not return. */
void machine_exit(int code);
