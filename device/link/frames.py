# Frames on the standard input and output of the board: docs/link.md. The computer sends this when a session needs it.


class _SmgFrames:
    def __init__(self, nonce):
        import select
        import sys
        from binascii import crc32
        from struct import pack_into, unpack_from

        poller = select.poll()
        poller.register(sys.stdin, select.POLLIN)
        self.ready = poller.ipoll
        self.read = sys.stdin.buffer.read
        self.write = sys.stdout.buffer.write
        self.crc32 = crc32
        self.pack_into = pack_into
        self.unpack_from = unpack_from
        self.nonce = nonce
        self.behind = b""
        self.frame = bytearray(254)
        self.body = memoryview(self.frame)
        self.reply = bytearray(255)
        self.filled = memoryview(self.reply)

    # Bytes of the next frame, still encoded; 1 for what is none; 0 when the service has to end: silence, or a REPL
    # client that knocks. Waits for all of a frame, whose length comes first; reads byte by byte what is no length.
    def receive(self, silence):
        read = self.read
        line = self.behind
        waited = 0
        while waited < silence:
            if line:
                size = line[0]
                if size > 13 and len(line) <= size:
                    line += read(size + 1 - len(line))
                end = line.find(b"\0")
                if not end:
                    line = line.lstrip(b"\0")
                    continue
                if size > 13 or end > 0:
                    self.behind = line[end:] if end > 0 else b""
                    if end != size or size < 14:
                        return 1
                    self.body[: size - 1] = line[1:size]
                    return size - 1
                line = line[:1] + line[1:][-3:]
            byte = b""
            for _ in self.ready(100):
                byte = read(1)
                if not byte:
                    return 0
            waited = 0 if byte else waited + 100
            if waited and self.knocks(line[-3:]):
                return 0
            line = line + byte if line else byte
        return 0

    # Whether the line stopped after Ctrl-C and other keys that REPL clients begin with.
    def knocks(self, last):
        return len(last) > 1 and 3 in last and all(byte in b"\x01\x02\x03\r\n" for byte in last)

    # Decodes the frame in place. Its payload without the check sum is frame[1:count - 4]; 0 if it is damaged.
    def decode(self, count):
        if count < 13:
            return 0
        frame = self.frame
        at = 0
        while at < count:
            step = frame[at]
            frame[at] = 0
            at += step
        if at != count:
            return 0
        check = self.crc32(self.body[1 : count - 4], self.nonce)
        return count - 4 if self.unpack_from("<I", frame, count - 4)[0] == check else 0

    # Sends reply[1:end].
    def send(self, kind, number, ident, offset, end=9):
        reply = self.reply
        filled = self.filled
        self.pack_into("<BBHI", reply, 1, kind, number, ident, offset)
        self.pack_into("<I", reply, end, self.crc32(filled[1:end], self.nonce))
        end += 4
        reply[end] = code = 0
        find = bytes(filled[: end + 1]).find
        while code < end:
            zero = find(b"\0", code + 1)
            reply[code] = zero - code
            code = zero
        self.write(filled[: end + 1])
