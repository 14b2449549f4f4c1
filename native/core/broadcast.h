/* The second operand of ADD and MUL is broadcast: element i of the output uses y[i / repeat mod elements(y)]. */
#ifndef SMG_BROADCAST_H
#define SMG_BROADCAST_H

#include "internal.h"

/* Which element of the second operand comes next. */
struct broadcast {
    uint32_t index;
    uint32_t elements;
    uint32_t repeat;
    uint32_t repeated;
};

static inline void open_broadcast(struct broadcast *broadcast, const struct smg_step *step)
{
    broadcast->index = 0;
    broadcast->elements = smg_elements(step->input2);
    broadcast->repeat = step->record->parameters.broadcast.repeat;
    broadcast->repeated = 0;
}

static inline void next_broadcast(struct broadcast *broadcast)
{
    if (++broadcast->repeated == broadcast->repeat) {
        broadcast->repeated = 0;
        broadcast->index = broadcast->index + 1 == broadcast->elements ? 0 : broadcast->index + 1;
    }
}

#endif
