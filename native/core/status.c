/* One message per status. The caller adds the record, and the numbers found and expected. */
#include "smidgen.h"

/* In the order of enum smg_status. One string with separators is smaller than a table of pointers, which on a board
 * would cost 4 bytes and a relocation for every entry. */
static const char messages[] = "no error\0"
                               "address is not a multiple of 4\0"
                               "the blob is cut short\0"
                               "this is not a smidgen blob\0"
                               "format version is unknown\0"
                               "length of header or blob is wrong\0"
                               "checksum is wrong, the blob is damaged\0"
                               "unused field is not zero\0"
                               "too few tensors, operators, inputs or outputs\0"
                               "offset is not aligned\0"
                               "data lies outside the blob\0"
                               "memory or tensor of 16 MiB or more\0"
                               "scratch size is wrong\0"
                               "operators share weights too often\0"
                               "shape is wrong\0"
                               "element type is not int8\0"
                               "scale is not a positive number\0"
                               "data lies outside the arena\0"
                               "written tensor is constant\0"
                               "network input is written\0"
                               "no operator writes it\0"
                               "kind is unknown\0"
                               "kernel is unknown\0"
                               "tensor index is wrong\0"
                               "activation range is wrong\0"
                               "too many bits for a channel's numbers\0"
                               "window, stride, dilation or padding is wrong\0"
                               "batch is not 1\0"
                               "shapes do not go together\0"
                               "parameter is out of range\0"
                               "zero point is wrong\0"
                               "multiplier is out of range\0"
                               "shift is out of range\0"
                               "coding of weights is wrong\0"
                               "length of weights is wrong\0"
                               "tile is out of range\0"
                               "code table is wrong\0"
                               "code table is incomplete\0"
                               "length of coded weights is wrong\0"
                               "arena is too small\0"
                               "arena and blob overlap\0"
                               "model has no memory\0"
                               "operator index is out of range\0"
                               "workspace is too small\0"
                               "is left out of this module, install the full one\0"
                               "scratch overlaps input or output\0"
                               "unknown status";

const char *smg_status_message(int status)
{
    const char *message = messages;
    int remaining = status > 0 || status < SMG_STATUS_LIMIT ? -SMG_STATUS_LIMIT : -status;
    while (remaining > 0) {
        while (*message != '\0') {
            ++message;
        }
        ++message;
        --remaining;
    }
    return message;
}
