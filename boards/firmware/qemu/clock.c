/* Time since power-on for MicroPython: module time, file times, sleeping. */
#include "py/mphal.h"
#include "py/runtime.h"

#include "machine.h"

mp_uint_t __wrap_mp_hal_ticks_us(void)
{
    return (mp_uint_t)machine_microseconds();
}

mp_uint_t __wrap_mp_hal_ticks_ms(void)
{
    return (mp_uint_t)(machine_microseconds() / 1000);
}

/* QEMU counts no cycles. */
mp_uint_t __wrap_mp_hal_ticks_cpu(void)
{
    return (mp_uint_t)machine_microseconds();
}

/* The clock starts at the epoch: these machines have no real-time clock. */
uint64_t __wrap_mp_hal_time_ns(void)
{
    return machine_microseconds() * 1000;
}

void __wrap_mp_hal_delay_us(mp_uint_t microseconds)
{
    uint64_t end = machine_microseconds() + microseconds;
    while (machine_microseconds() < end) {
    }
}

void __wrap_mp_hal_delay_ms(mp_uint_t milliseconds)
{
    uint64_t end = machine_microseconds() + (uint64_t)milliseconds * 1000;
    for (;;) {
        mp_event_handle_nowait();
        uint64_t now = machine_microseconds();
        if (now >= end) {
            return;
        }
        uint64_t left = (end - now + 999) / 1000;
        machine_wait(left < INT32_MAX ? (int32_t)left : INT32_MAX);
    }
}
