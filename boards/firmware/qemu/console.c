/* What MicroPython asks of a console: bytes in order, none lost, and Ctrl-C while Python code runs.
 *
 * Received bytes go to a ring. When it is full the UART is not read any more; QEMU then holds back what the computer
 * sends. The functions named __wrap_* stand in for upstream's (see board.mk). */
#include "py/mphal.h"
#include "py/ringbuf.h"
#include "py/runtime.h"
#include "py/stream.h"

#include "machine.h"
#include "uart.h"

#define RING_BYTES 512 /* as on the RP2 port */

static uint8_t ring_memory[RING_BYTES];
static ringbuf_t ring = { ring_memory, sizeof(ring_memory), 0, 0 };

void machine_received(void)
{
    while (ringbuf_free(&ring) > 0) {
        int byte = uart_rx_chr();
        if (byte == UART_RX_NO_CHAR) {
            break;
        }
        if (byte == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            ringbuf_put(&ring, (uint8_t)byte);
        }
    }
    machine_listen(ringbuf_free(&ring) > 0);
}

/* Reads on where a full ring has stopped machine_received. */
static void refill(void)
{
    uint32_t enabled = machine_disable_interrupts();
    machine_received();
    machine_restore_interrupts(enabled);
}

int __wrap_mp_hal_stdin_rx_chr(void)
{
    for (;;) {
        int byte = ringbuf_get(&ring);
        if (byte >= 0) {
            refill();
            return byte;
        }
        mp_event_wait_indefinite();
    }
}

uintptr_t __wrap_mp_hal_stdio_poll(uintptr_t flags)
{
    uintptr_t ready = flags & MP_STREAM_POLL_WR;
    if ((flags & MP_STREAM_POLL_RD) && ringbuf_avail(&ring) > 0) {
        ready |= MP_STREAM_POLL_RD;
    }
    return ready;
}
