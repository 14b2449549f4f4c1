/* One message per status. The caller adds the record, and the numbers found and expected. */
#include "smidgen.h"

/* In the order of enum smg_status. One string with separators is smaller than a table of pointers, which on a board
 * would cost 4 bytes and a relocation for every entry. */
static const char messages[] = "no error\0"
                               "blob or arena does not start at a multiple of 4\0"
                               "the blob is cut short\0"
                               "this is not a smidgen blob\0"
                               "format version is not supported\0"
                               "length in the header is wrong\0"
                               "checksum does not match, the blob is damaged\0"
                               "a reserved or unused field is not zero\0"
                               "number of tensors, operators, inputs or outputs is wrong\0"
                               "offset is not aligned\0"
                               "data lies outside the blob\0"
                               "arena, scratch or tensor has 16 MiB or more\0"
                               "scratch size does not match the operators\0"
                               "operators share weights too often\0"
                               "shape is wrong\0"
                               "element type is not supported\0"
                               "scale is not a positive number\0"
                               "tensor or scratch does not fit in the arena\0"
                               "constant tensor cannot be written\0"
                               "network input is written by an operator\0"
                               "no operator writes this tensor\0"
                               "kind of operator is unknown\0"
                               "kernel is unknown\0"
                               "tensor index is wrong\0"
                               "activation range is wrong\0"
                               "numbers of the channels have too many bits\0"
                               "window, stride, dilation or padding is wrong\0"
                               "batch is not 1\0"
                               "shapes of input and output do not go together\0"
                               "parameter is out of range\0"
                               "zero point is wrong\0"
                               "multiplier is out of range\0"
                               "shift is out of range\0"
                               "coding of the weights is wrong\0"
                               "length of the weights is wrong\0"
                               "size of a tile is out of range\0"
                               "code table is wrong\0"
                               "code table is not complete\0"
                               "Huffman stream has the wrong length\0"
                               "arena is too small\0"
                               "arena and blob overlap\0"
                               "no memory was given to the model\0"
                               "operator index is out of range\0"
                               "workspace of the kernel is too small\0"
                               "is left out of this module, install the full one\0"
                               "scratch overlaps an input or the output\0"
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
