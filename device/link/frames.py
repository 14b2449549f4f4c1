# Frames on the standard input and output of the board: docs/link.md. The computer sends this when a session needs it.


# Bytes of the next frame in `frame`, its delimiter taken off. If nothing comes for `wait` milliseconds: minus the bytes
# of half a frame. `have` is how many of those there are already. Compiled to machine code where the firmware can.
@micropython.native
def _smg_read(ready, read, one, frame, have, wait):
    room = len(frame)
    while True:
        for _ in ready(wait):
            break
        else:
            return -have
        if not read(one):
            return -have
        byte = one[0]
        if byte:
            if have < room:
                frame[have] = byte
            have += 1
        elif 0 < have <= room:
            return have
        else:
            have = 0


class _SmgFrames:
    def __init__(self, nonce):
        import select
        import sys
        from binascii import crc32
        from struct import pack_into, unpack_from

        poller = select.poll()
        poller.register(sys.stdin, select.POLLIN)
        self.read_frame = _smg_read
        self.ready = poller.ipoll
        self.read = sys.stdin.buffer.readinto
        self.write = sys.stdout.buffer.write
        self.crc32 = crc32
        self.pack_into = pack_into
        self.unpack_from = unpack_from
        self.nonce = nonce
        self.one = bytearray(1)
        self.frame = bytearray(254)
        self.body = memoryview(self.frame)
        self.reply = bytearray(255)
        self.filled = memoryview(self.reply)

    # Bytes of the next frame, still encoded; 0 when the service has to end: silence, or a REPL client that knocks.
    def receive(self, silence):
        have = waited = 0
        while waited < silence:
            count = self.read_frame(self.ready, self.read, self.one, self.frame, have, 100)
            if count > 0:
                return count
            waited = waited + 100 if have == -count else 0
            have = -count
            if self.knocks(min(have, 254)):
                break
        return 0

    # Whether the line stopped after Ctrl-C and other keys that REPL clients begin with.
    def knocks(self, have):
        last = bytes(self.body[max(0, have - 3) : have])
        return have > 1 and 3 in last and all(byte in b"\x01\x02\x03\r\n" for byte in last)

    # Decodes the frame in place. Its payload without the check sum is frame[1:count - 4]; 0 if it is damaged.
    def decode(self, count):
        frame = self.frame
        at = 0
        while at < count:
            step = frame[at]
            frame[at] = 0
            at += step
        if at != count or count < 13:
            return 0
        check = self.crc32(self.body[1 : count - 4], self.nonce)
        return count - 4 if self.unpack_from("<I", frame, count - 4)[0] == check else 0

    # Sends reply[1:end].
    def send(self, kind, number, ident, offset, end=9):
        reply = self.reply
        self.pack_into("<BBHI", reply, 1, kind, number, ident, offset)
        self.pack_into("<I", reply, end, self.crc32(self.filled[1:end], self.nonce))
        end += 4
        reply[end] = code = 0
        payload = bytes(self.filled[: end + 1])
        while code < end:
            zero = payload.find(b"\0", code + 1)
            reply[code] = zero - code
            code = zero
        self.write(self.filled[: end + 1])
