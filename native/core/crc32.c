/* CRC-32 as in zlib: polynomial 0xEDB88320 reflected, initial and final value 0xFFFFFFFF. */
#include "internal.h"

uint32_t smg_crc32(const uint8_t *bytes, size_t count)
{
    /* Remainder of each half byte: 64 bytes of table instead of the usual kilobyte. */
    static const uint32_t remainder[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
        0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < count; ++i) {
        crc ^= bytes[i];
        crc = remainder[crc & 15] ^ (crc >> 4);
        crc = remainder[crc & 15] ^ (crc >> 4);
    }
    return ~crc;
}
