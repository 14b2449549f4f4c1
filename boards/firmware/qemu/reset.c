/* machine.reset() ends QEMU with an exit code of its own, so that the computer can tell a reset from other ends: QEMU
 * itself ends with 0 when it is told to terminate. Upstream's reset is exit(0), its report of a fault another status. */
#include "machine.h"

#define RESET_EXIT_CODE 64 /* host/smidgen/link/virtual/qemu.py knows it */

void __wrap_exit(int status)
{
    machine_exit(status == 0 ? RESET_EXIT_CODE : status);
}
