"""The board's side of the MLPerf Tiny protocol: a device under test that the official runner can measure.

Commands are ASCII and end in %, answers are lines, the last of which is m-ready (docs/mlperf.md). Ctrl-C ends it.
"""

import binascii
import gc
import select
import struct
import sys
import time

import micropython

SmidgenHelp = """ULPMark for tinyML Firmware V0.0.1
name, profile, timestamp
db load N, db HH[HH]*, db print: the input
infer [N [W]]: time N inferences (1) after W warm-ups (10)
results: of the last inference"""


# What an e- line says.
class SmidgenRefusal(Exception):
    pass


class SmidgenDut:
    """model: with one input and one output. name: kws01, vww01, ic01 or ad01.

    encoding: what a sample is in the buffer. "int8": as the model takes it, "uint8": 128 more, "float32": real values,
    little-endian; then the result is the mean squared difference between them and the output.
    """

    COMMAND_BYTES = 80
    PRINTED_BYTES = 8  # in a line of `db print`
    BATCH = 64  # inferences between two looks at the clock, which wraps after 18 minutes
    IDLE_MS = 60000  # the same while the runner is silent

    def __init__(self, model, name, encoding):
        self._model = model
        self._name = name
        self._is_real = encoding == "float32"
        self._flip = 128 if encoding == "uint8" else 0
        elements = len(model.input)
        self._sample = memoryview(bytearray(elements))  # a run uses up the input
        self._buffer = memoryview(bytearray(4 * elements)) if self._is_real else self._sample
        self._size = self._loaded = 0
        self._results = None
        self._microseconds = 0
        self._last = time.ticks_us()
        self._commands = {
            "help": self._help,
            "name": self._print_name,
            "profile": self._profile,
            "timestamp": self._timestamp,
            "db": self._db,
            "infer": self._infer,
            "results": self._print_results,
        }

    def serve(self):
        """Until Ctrl-C; then everything of this program is taken off the board again."""
        try:
            print("m-timestamp-mode-performance")
            self._timestamp()
            print("m-init-done")
            print("m-ready")
            self._take_commands()
        except KeyboardInterrupt:
            pass
        finally:
            micropython.kbd_intr(-1)  # whoever takes over the board presses Ctrl-C twice
            self._commands = self._model = self._buffer = self._sample = None
            collect, kbd_intr = gc.collect, micropython.kbd_intr
            for name in [name for name in globals() if name.startswith("Smidgen")]:
                globals().pop(name)
            collect()
            kbd_intr(3)

    def _take_commands(self):
        read = sys.stdin.buffer.readinto
        poller = select.poll()
        poller.register(sys.stdin, select.POLLIN)
        command = bytearray(self.COMMAND_BYTES)
        byte = bytearray(1)
        count = 0
        while True:
            while not poller.poll(self.IDLE_MS):
                self._advance()
            if not read(byte):
                return
            if byte[0] == 37:
                self.answer(command, count)
                count = 0
            elif byte[0] not in (10, 13):
                if count < self.COMMAND_BYTES:
                    command[count] = byte[0]
                count += 1

    def answer(self, command, count):
        """The answer to the first `count` bytes of `command`, or to one that was longer than it."""
        try:
            if count > len(command):
                raise SmidgenRefusal("Command has %d characters, at most %d are possible" % (count, len(command)))
            self._carry_out(self._text(command, count).split())
        except SmidgenRefusal as refusal:
            print("e-[%s]" % refusal)
        except Exception as error:
            print("e-[%s: %s]" % (type(error).__name__, error))
        print("m-ready")

    def _carry_out(self, words):
        if not words:
            return
        carry_out = self._commands.get(words[0])
        if carry_out is None:
            raise SmidgenRefusal("Unknown command: " + words[0])
        carry_out(*words[1:3])

    def _help(self, *_):
        print(SmidgenHelp)

    def _print_name(self, *_):
        print("m-name-dut-[smidgen]")

    def _profile(self, *_):
        print("m-profile-[ULPMark for tinyML Firmware V0.0.1]")
        print("m-model-[%s]" % self._name)

    def _timestamp(self, *_):
        self._advance()
        print("m-lap-us-%d" % self._microseconds)

    def _advance(self):
        now = time.ticks_us()
        self._microseconds += time.ticks_diff(now, self._last)
        self._last = now

    def _db(self, *words):
        if not words:
            raise SmidgenRefusal("Command 'db' requires a subcommand")
        if words[0] == "load":
            self._expect(*words[1:])
        elif words[0] == "print":
            self._print_buffer()
        else:
            self._load(words[0])

    def _expect(self, *words):
        if not words:
            raise SmidgenRefusal("Command 'db load' requires the # of bytes")
        size = self._integer(words[0])
        if size <= 0:
            raise SmidgenRefusal("Command 'db load' must be >0 bytes")
        if size > len(self._buffer):
            raise SmidgenRefusal("Supplied buffer size %d exceeds maximum of %d" % (size, len(self._buffer)))
        self._size = size
        self._loaded = 0
        print("m-[Expecting %d bytes]" % size)

    def _load(self, digits):
        if len(digits) & 1:
            raise SmidgenRefusal("Insufficent number of hex digits")  # spelled as the protocol has it
        if self._loaded == self._size:
            raise SmidgenRefusal("No bytes are expected; 'db load N' comes first")
        data = self._bytes(digits)[: self._size - self._loaded]
        for byte in data:
            self._buffer[self._loaded] = byte ^ self._flip
            self._loaded += 1
        if self._loaded == self._size:
            print("m-load-done")

    def _bytes(self, digits):
        try:
            return binascii.unhexlify(digits)
        except ValueError:
            pairs = (digits[at : at + 2] for at in range(0, len(digits), 2))
            wrong = next(pair for pair in pairs if not self._is_hex(pair))
            raise SmidgenRefusal("Invalid hex digit '%s'" % wrong) from None

    def _print_buffer(self):
        for start in range(0, self._size, self.PRINTED_BYTES):
            part = self._buffer[start : min(start + self.PRINTED_BYTES, self._size)]
            print("m-buffer-" + "-".join("%02x" % (byte ^ self._flip) for byte in part))
        if self._size % self.PRINTED_BYTES:
            print()

    def _infer(self, count="1", warmups="10"):
        count = self._integer(count)
        if count <= 0:
            raise SmidgenRefusal("Inference iterations must be >0")
        warmups = self._integer(warmups, -1)
        if warmups < 0:
            raise SmidgenRefusal("Inference warmup must be >=0")
        if self._loaded != len(self._buffer):
            raise SmidgenRefusal("Input db has %d bytes, expected %d" % (self._loaded, len(self._buffer)))
        if self._is_real:
            self._model._write(0, self._reals(), True)
            self._sample[:] = self._model.input
        self._results = None
        gc.collect()
        print("m-warmup-start-%d" % warmups)
        self._run(warmups)
        print("m-warmup-done")
        print("m-infer-start-%d" % count)
        self._timestamp()
        self._run(count)
        self._timestamp()
        print("m-infer-done")
        self._results = self._squared_error() if self._is_real else self._scores()
        self._print_results()

    def _run(self, count):
        model = self._model
        view = model.input
        sample = self._sample
        while count > 0:
            for _ in range(min(count, self.BATCH)):
                view[:] = sample
                model.run()
            count -= self.BATCH
            self._advance()

    def _scores(self):
        _, scale, zero_point = self._model.info(1)
        return ",".join("%.3f" % (scale * (q - zero_point)) for q in self._model.output)

    def _squared_error(self):
        _, scale, zero_point = self._model.info(1)
        output = self._model.output
        total = 0.0
        for at, real in enumerate(self._reals()):
            difference = scale * (output[at] - zero_point) - real
            total += difference * difference
        return "%.3f" % (total / len(output))

    def _reals(self):
        for at in range(0, len(self._buffer), 4):
            yield struct.unpack_from("<f", self._buffer, at)[0]

    def _print_results(self, *_):
        if self._results is None:
            raise SmidgenRefusal("No results; 'infer N W' comes first")
        print("m-results-[%s]" % self._results)

    @staticmethod
    def _text(command, count):
        try:
            return str(command[:count], "utf-8")
        except UnicodeError:
            return "?"

    @staticmethod
    def _integer(word, otherwise=0):
        try:
            return int(word)
        except ValueError:
            return otherwise

    @staticmethod
    def _is_hex(pair):
        return all(digit in "0123456789abcdefABCDEF" for digit in pair)
