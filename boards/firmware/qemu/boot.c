/* What a board does before its REPL appears, at power-on and after every soft reset. Upstream's main has nothing for
 * it, so it hangs on uart_init and mp_init (see board.mk). */
#include "py/runtime.h"
#include "shared/readline/readline.h"
#include "shared/runtime/pyexec.h"

#include "machine.h"
#include "uart.h"

void __real_uart_init(void);
void __real_mp_init(void);

void __wrap_uart_init(void)
{
    __real_uart_init();
    machine_init();
}

void __wrap_mp_init(void)
{
    __real_mp_init();
    readline_init0(); /* its history lay in the heap before the reset */
    pyexec_frozen_module("_boot.py", false);
    pyexec_file_if_exists("boot.py");
    if (pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL) {
        pyexec_file_if_exists("main.py");
    }
}
