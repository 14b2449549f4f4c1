/* MicroPython's configuration (MP_CONFIGFILE): upstream's for QEMU, with what makes it a board that people would
 * recognise: time, select, binary stdin and stdout, Ctrl-C, files, asyncio. */
#include "mpconfigport.h"

#undef MICROPY_PY_ASYNCIO
#undef MICROPY_PY_SELECT
#undef MICROPY_PY_SYS_STDIO_BUFFER
#undef MICROPY_PY_TIME
#undef MICROPY_VFS_ROM_IOCTL

#define MICROPY_PY_ASYNCIO (1)
#define MICROPY_PY_SELECT (1)
#define MICROPY_PY_SYS_STDIO_BUFFER (1)
#define MICROPY_PY_TIME (1)
#define MICROPY_PY_TIME_GMTIME_LOCALTIME_MKTIME (1)
#define MICROPY_PY_TIME_TIME_TIME_NS (1)
#define MICROPY_PY_TIME_INCLUDEFILE "time_of_day.h"

#define MICROPY_VFS_ROM_IOCTL (1)
#define MICROPY_KBD_EXCEPTION (1)

#include <stdint.h>
void machine_wait(int32_t milliseconds);
uint32_t machine_disable_interrupts(void);
void machine_restore_interrupts(uint32_t enabled);
#define MICROPY_INTERNAL_WFE(milliseconds) machine_wait((int32_t)(milliseconds))
#define MICROPY_BEGIN_ATOMIC_SECTION() machine_disable_interrupts()
#define MICROPY_END_ATOMIC_SECTION(enabled) machine_restore_interrupts(enabled)
