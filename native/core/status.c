/* One message per status. The caller adds the record, and the numbers found and expected. */
#include "smidgen.h"

/* What messages have in common is kept once: below a space, a character stands for one of `words`. */
#define DATA_OUTSIDE_THE "\001"
#define OUT_OF_RANGE "\002"
#define IS_WRONG "\003"
#define IS_NOT "\004"
#define IS "\005"
#define OPERATOR "\006"
#define UNKNOWN "\007"
#define WEIGHTS "\010"
#define LENGTH_OF "\011"
#define TENSOR "\012"
#define BLOB "\013"
#define TOO "\014"
#define OR "\015"

static const char words[] = "data lies outside the \0"
                            "out of range\0"
                            " is wrong\0"
                            " is not \0"
                            " is \0"
                            "operator\0"
                            "unknown\0"
                            " weights\0"
                            "length of \0"
                            "tensor\0"
                            " blob\0"
                            "too \0"
                            " or ";

/* In the order of enum smg_status. One string with separators is smaller than a table of pointers, which on a board
 * would cost 4 bytes and a relocation for every entry. */
static const char messages[] = "no error\0"
                               "address" IS_NOT "a multiple of 4\0"
                               "the" BLOB IS "cut short\0"
                               "this" IS_NOT "a smidgen" BLOB "\0"
                               "format version" IS UNKNOWN "\0"
                               LENGTH_OF "header or" BLOB IS_WRONG "\0"
                               "checksum" IS_WRONG ", the" BLOB IS "damaged\0"
                               "unused field" IS_NOT "zero\0"
                               TOO "few " TENSOR "s, " OPERATOR "s, inputs" OR "outputs\0"
                               "offset" IS_NOT "aligned\0"
                               DATA_OUTSIDE_THE "blob\0"
                               "memory" OR TENSOR " of 16 MiB" OR "more\0"
                               "scratch size" IS_WRONG "\0"
                               OPERATOR "s share" WEIGHTS " " TOO "often\0"
                               "shape" IS_WRONG "\0"
                               "element type" IS_NOT "int8\0"
                               "scale" IS_NOT "a positive number\0"
                               DATA_OUTSIDE_THE "arena\0"
                               "written " TENSOR IS "constant\0"
                               "network input" IS "written\0"
                               "no " OPERATOR " writes it\0"
                               "kind" IS UNKNOWN "\0"
                               "kernel" IS UNKNOWN "\0"
                               TENSOR " index" IS_WRONG "\0"
                               "activation range" IS_WRONG "\0"
                               TOO "many bits for a channel's numbers\0"
                               "window, stride, dilation" OR "padding" IS_WRONG "\0"
                               "batch" IS_NOT "1\0"
                               "shapes do not go together\0"
                               "parameter" IS OUT_OF_RANGE "\0"
                               "zero point" IS_WRONG "\0"
                               "multiplier" IS OUT_OF_RANGE "\0"
                               "shift" IS OUT_OF_RANGE "\0"
                               "coding of" WEIGHTS IS_WRONG "\0"
                               "length of" WEIGHTS IS_WRONG "\0"
                               "tile" IS OUT_OF_RANGE "\0"
                               "code table" IS_WRONG "\0"
                               "code table" IS "incomplete\0"
                               LENGTH_OF "coded" WEIGHTS IS_WRONG "\0"
                               "arena" IS TOO "small\0"
                               "arena and" BLOB " overlap\0"
                               "model has no memory\0"
                               OPERATOR " index" IS OUT_OF_RANGE "\0"
                               "workspace" IS TOO "small\0"
                               "is left out of this module, install the full one\0"
                               "scratch overlaps input" OR "output\0"
                               UNKNOWN " status";

/* String number `number` of those that follow each other. */
static const char *string(const char *strings, int number)
{
    for (; number > 0; --number) {
        while (*strings++ != '\0') {
        }
    }
    return strings;
}

/* Appends a string without its end; returns where that would be. */
static char *append(char *text, const char *characters)
{
    while (*characters != '\0') {
        *text++ = *characters++;
    }
    return text;
}

uint32_t smg_status_message(int status, char *text)
{
    const char *message = string(messages, status > 0 || status < SMG_STATUS_LIMIT ? -SMG_STATUS_LIMIT : -status);
    char *end = text;
    for (; *message != '\0'; ++message) {
        if (*message < ' ') {
            end = append(end, string(words, *message - 1));
        } else {
            *end++ = *message;
        }
    }
    return (uint32_t)(end - text);
}
