# The service on the board: docs/link.md. It carries out each request once and keeps its result until the next one.


class _SmgService(_SmgFrames):
    def __init__(self, nonce):
        import io
        import struct
        import time
        from sys import print_exception

        from micropython import kbd_intr

        super().__init__(nonce)
        self.kbd_intr = kbd_intr
        self.print_exception = print_exception
        self.io = io
        self.pack = struct.pack
        self.time = time
        self.ident = self.received = self.operation = 0
        self.done = True
        self.failed = self.size = 0
        self.result = ()

    # Until the computer says so, or for `silence` milliseconds nothing comes.
    def serve(self, silence):
        self.behind = b""
        self.kbd_intr(-1)
        try:
            self.send(65, 0, self.ident, self.received)
            while True:
                count = self.receive(silence)
                if not count or not self.take(self.decode(count)):
                    return
        finally:
            self.kbd_intr(3)

    # One frame. False after a request to leave.
    def take(self, end):
        if not end:
            if not self.done:
                self.send(78, 0, self.ident, self.received)
            return True
        kind, number, ident, offset = self.unpack_from("<BBHI", self.frame, 1)
        age = (ident - self.ident) & 0xFFFF
        if kind == 80 and end == 10:
            if self.done and not age:
                self.answer(offset, min(self.frame[9], 240) or 240)
            else:
                self.send(65, number, ident, 0 if age else self.received)
            return True
        if age >= 0x8000 or kind not in (68, 76) or end > 249:
            return True
        if age:
            self.ident, self.operation, self.received = ident, number, 0
            self.done = False
        if self.done:
            if not offset:
                self.answer(0)
        elif offset != self.received:
            self.send(65 if offset < self.received else 78, 0, ident, self.received)
        else:
            self.accept(self.body[9:end], kind == 76)
            if self.done:
                self.answer(0)
                return self.operation != 8
            self.send(65, 0, ident, self.received)
        return True

    # The next piece of the request, and after the last one the request itself.
    def accept(self, piece, last):
        error = None
        try:
            self.store(piece if self.received else self.begin(piece))
            self.received += len(piece)
            if last:
                self.finish(1, (b"KeyboardInterrupt: ",))
                self.kbd_intr(3)
                result = self.carry_out()
                self.kbd_intr(-1)
                self.finish(0, result)
        except BaseException as caught:
            self.kbd_intr(-1)
            error = caught
        if error:
            self.finish(1, (self.describe(error),))

    def finish(self, failed, result):
        self.done = True
        self.failed = failed
        self.result = result
        self.size = sum(len(part) for part in result)

    def describe(self, error):
        try:
            text = self.io.StringIO()
            self.print_exception(error, text)
            return text.getvalue().encode()
        except MemoryError:
            return b"MemoryError: "

    # The beginning of a request; what of it belongs to its data.
    def begin(self, piece):
        operation = self.operation
        self.targets = ()
        if operation == 3:
            self.targets = (memoryview(_smg.buffer),)
        elif operation > 4 and operation < 8:
            key, self.tensor, self.until = self.unpack_from("<Hhh", piece)
            self.model = _smg.models[key]
            self.targets = self.model.inputs
            piece = piece[6:]
        else:
            self.text = _smg.stream if operation == 10 else bytearray()
        self.stored = 0
        return piece

    def store(self, piece):
        if self.operation == 4:
            _smg.file.write(piece)
        elif not self.targets:
            self.text.extend(piece)
        else:
            self.fill(piece)

    # Into the targets, one after the other.
    def fill(self, piece):
        at = self.stored
        self.stored += len(piece)
        for target in self.targets:
            room = len(target) - at
            if len(piece) <= room:
                target[at : at + len(piece)] = piece
                return
            if room > 0:
                target[at:] = piece[:room]
                piece = piece[room:]
            at = max(0, -room)
        raise ValueError("more than %d bytes" % sum(len(target) for target in self.targets))

    def carry_out(self):
        operation = self.operation
        if operation == 1:
            return (self.text,)
        if operation == 2:
            return (repr(eval(str(self.text, "utf8"))).encode(),)
        if operation == 10:
            return self.text.result()
        if operation < 5 or operation > 7:
            return ()
        model = self.model
        size = sum(len(view) for view in self.targets)
        if self.stored not in (0, size):
            raise ValueError("%d bytes of input, the model takes %d" % (self.stored, size))
        if operation == 7:
            return (repr(model.profile()).encode(),)
        start = self.time.ticks_us()
        if self.until > -2:
            model.run(None if self.until < 0 else self.until)
        duration = self.time.ticks_diff(self.time.ticks_us(), start)
        views = model.outputs if self.tensor < 0 else (model.tensor(self.tensor),)
        return (self.pack("<I", duration),) + views

    # Up to 4096 bytes of the result, from `offset` on, `piece` bytes in a frame.
    def answer(self, offset, piece=240):
        if offset > self.size:
            offset = 0
        limit = min(self.size, offset + 4096)
        while True:
            end = self.copy(offset, min(piece, limit - offset))
            offset += end - 9
            kind = 69 if offset >= self.size else 82
            self.send(kind, self.failed, self.ident, offset - end + 9, end)
            if offset >= limit:
                return

    # `count` bytes of the result into the reply; where they end there.
    def copy(self, offset, count):
        at = 9
        for part in self.result:
            size = len(part)
            if offset < size and count:
                size = min(size - offset, count)
                self.filled[at : at + size] = memoryview(part)[offset : offset + size]
                at += size
                count -= size
                offset = 0
            else:
                offset -= size
        return at
