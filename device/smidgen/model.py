"""smidgen: run int8 neural networks from a .smg blob."""
# ruff: noqa: F821 - _load and _typecode are defined by the native code this file is merged with

import json
import os
import struct
import time
from array import array

try:
    _load  # noqa: B018
except NameError:  # in a firmware build the native code is a module of its own
    from _smidgen import _load, _typecode

__version__ = "0.1.0"

_KINDS = (
    "CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED ADD MUL AVERAGE_POOL_2D MAX_POOL_2D MEAN PAD COPY LOOKUP SOFTMAX"
).split()
_BAD_ALIGNMENT, _LEFT_OUT = -1, -44  # of enum smg_status
_BYTES = (1, 66, 98)  # typecodes of a bytearray, "B" and "b"


def _open(path):
    """A blob in a file: where it lies if it is memory-mapped flash (ROMFS), else read into RAM."""
    with open(path, "rb") as file:
        try:
            blob = memoryview(file)
            engine = _load(blob)
            if not isinstance(engine, tuple) or engine[0] != _BAD_ALIGNMENT:
                return blob, engine
        except TypeError:
            pass  # an ordinary file
        blob = bytearray(os.stat(path)[6])
        file.readinto(blob)
    return blob, _load(blob)


def _elements(shape):
    product = 1
    for dimension in shape:
        product *= dimension
    return product


def _shape_text(shape):
    return "x".join(str(dimension) for dimension in shape)


def _table(name, rows, last):
    """Lines with a heading and all operators; last: format of the fifth column."""
    lines = ["%3s  %-18s %-14s %10s" % ("", name, "output", "MACs")]
    for k, kind, shape, macs, value in rows:
        lines.append("%3d  %-18s %-14s %10d" % (k, kind, _shape_text(shape), macs) + last % value)
    return lines


class _Profile(list):
    """The list that it is; printed, a table."""

    def __str__(self):
        return "\n".join(_table("", self, "%10d us") + ["%d us" % sum(row[4] for row in self)])


def _signed(buffer):
    """A copy with signed elements; a blob in a bytearray has unsigned ones."""
    return array("b", bytes(buffer))


def _refusal(fault):
    """The sentence for a blob that was refused."""
    status, message, place, index, found, expected = fault
    if status == _LEFT_OUT:
        message = _KINDS[found - 1] + " " + message
    where = ("%s", "tensor %d: %s", "operator %d: %s")[place] % ((index, message) if place else message)
    return where if found == expected else "%s (found %d, expected %d)" % (where, found, expected)


def _report_difference(vector, output, got, expected):
    for i in range(len(got)):
        if got[i] != expected[i]:
            text = "golden vector %d: element %d of output %d is %d, expected %d"
            raise ValueError(text % (vector, i, output, got[i], expected[i]))


def _length(values):
    """How many elements; None for an iterator, or what is no collection at all."""
    try:
        return len(values)
    except TypeError:
        return None


def _quantize(values, view, scale, zero_point, name):
    """Real values into an int8 view, halves away from zero, saturated; returns how many there were."""
    try:
        values = iter(values)
    except TypeError:
        raise ValueError("%s takes a list of numbers, or int8 in a buffer" % name) from None
    count = 0
    for value in values:
        try:
            real = value / scale
        except TypeError:
            real = float("nan")
        if real != real:
            raise ValueError("%s: element %d is not a number" % (name, count))
        real = max(-256.0, min(256.0, real))  # beyond this all saturate, and infinity has no integer
        nearest = int(real)
        if abs(real - nearest) >= 0.5:
            nearest += 1 if real > 0 else -1
        if count < len(view):
            view[count] = max(-128, min(127, nearest + zero_point))
        count += 1
    return count


class Model:
    """A loaded network. source: path of a .smg file, or its bytes in a buffer, which is used in place.

    input, inputs: views of the arena to write samples to; output, outputs: views of the results. Assigning to input
    copies int8 data from a buffer into the arena. A run uses up the inputs: their memory may serve other tensors.
    Do not change the blob while it is in use.
    """

    def __init__(self, source):
        if isinstance(source, str):
            blob, engine = _open(source)
        elif _typecode(source) in _BYTES:
            blob, engine = source, _load(source)
        else:
            raise ValueError("a model is a path, bytes, bytearray or memoryview of bytes")
        if isinstance(engine, tuple):
            raise ValueError(_refusal(engine))
        if isinstance(engine, int):
            raise MemoryError("the model needs %d bytes of RAM for its arena" % engine)
        self._blob = memoryview(blob)
        self._engine = engine
        self._arena = memoryview(engine)
        (
            self.arena_bytes,
            self.scratch_bytes,
            self.tensors,
            self._operators,
            inputs,
            outputs,
            self._golden_count,
            self._tensors_offset,
            self._operators_offset,
            self._golden_offset,
            self._metadata_offset,
            self._metadata_bytes,
        ) = struct.unpack_from("<IIHHBBHIIIII", blob, 16)
        self.inputs = tuple(self._view(i) for i in range(inputs))
        self.outputs = tuple(self._view(inputs + i) for i in range(outputs))
        self._metadata = None
        self._ran = 0

    @property
    def input(self):
        """View of the first input. Assign int8 data in a buffer (bytes, array("b")) to copy it there."""
        return self.inputs[0]

    @input.setter
    def input(self, samples):
        self._write(0, samples, False)

    @property
    def output(self):
        """View of the first output."""
        return self.outputs[0]

    def run(self, until=None):
        """Run all operators, or those up to number `until`. Ctrl-C works between operators."""
        last = self._operators - 1 if until is None else until
        if not 0 <= last < self._operators:
            raise ValueError("there is no operator %d: the model has 0 to %d" % (last, self._operators - 1))
        run = self._engine.run
        self._ran = 0
        while self._ran <= last:
            run(self._ran)
            self._ran += 1

    def predict(self, *inputs):
        """Run on real numbers (any iterable), or on int8 data in a buffer of bytes; returns the real outputs.

        One list of floats, or a tuple of them for a model with several outputs.
        """
        if len(inputs) != len(self.inputs):
            raise ValueError("the model has %d inputs, got %d" % (len(self.inputs), len(inputs)))
        for i, values in enumerate(inputs):
            self._write(i, values, True)
        self.run()
        scores = tuple(self._scores(i) for i in range(len(self.outputs)))
        return scores[0] if len(scores) == 1 else scores

    def top(self, count=3):
        """The best classes of the first output: [(label, or index without labels, score), ...], best first.

        ValueError unless the model has run to its end.
        """
        if count < 0:
            raise ValueError("top() takes a count of classes, got %d" % count)
        scores = self._scores(0)
        labels = self.labels
        order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:count]
        return [(labels[i] if labels and i < len(labels) else i, scores[i]) for i in order]

    @property
    def metadata(self):
        """The blob's metadata as a dict."""
        if self._metadata is None:
            start = self._metadata_offset
            text = bytes(self._blob[start : start + self._metadata_bytes])
            self._metadata = json.loads(text) if text else {}
        return self._metadata

    @property
    def labels(self):
        """List of the classes' names, or None."""
        labels = self.metadata.get("labels")
        return labels if isinstance(labels, list) and all(isinstance(label, str) for label in labels) else None

    def info(self, index):
        """(shape, scale, zero point) of a tensor. real value = scale * (q - zero point)"""
        record = self._record(index)
        return record[5 - record[5] : 5], record[9], record[7]

    def tensor(self, index):
        """View of a tensor as the last run left it; ValueError if it does not hold its values (any more)."""
        record = self._record(index)
        if record[8]:  # a constant
            start = record[0]
            return memoryview(_signed(self._blob[start : start + _elements(record[1:5])]))
        start = record[0]
        end = start + _elements(record[1:5])
        written = index < len(self.inputs)
        last = -1
        for k in range(self._operators):
            output = self._operator(k)[6]
            if output == index:
                written = True
                last = k
            elif written and k < self._ran:
                other = self._record(output)
                if other[0] < end and start < other[0] + _elements(other[1:5]):
                    hint = ": run(until=%d)" % (k - 1) if k else ""
                    raise ValueError("operator %d has overwritten tensor %d%s" % (k, index, hint))
        if last >= self._ran:
            raise ValueError("operator %d has not computed tensor %d yet: run(until=%d)" % (last, index, last))
        return self._view(index)

    def profile(self):
        """Run once: [(index, operator, output shape, multiply-accumulates, microseconds), ...]

        Printed, it is a table. For its times only: it runs on whatever the input holds, so there are no scores
        afterwards.
        """
        rows = _Profile()
        run = self._engine.run
        self._ran = 0
        for k in range(self._operators):
            start = time.ticks_us()
            run(k)
            duration = time.ticks_diff(time.ticks_us(), start)
            rows.append(self._describe(k) + (duration,))
        return rows

    def selftest(self):
        """Run the golden vectors and compare every element; returns how many there are."""
        if not self._golden_count:
            raise ValueError("the blob has no golden vectors")
        position = self._golden_offset
        for vector in range(self._golden_count):
            for view in self.inputs:
                view[:] = self._blob[position : position + len(view)]
                position += len(view)
            self.run()
            for number, view in enumerate(self.outputs):
                expected = self._blob[position : position + len(view)]
                position += len(view)
                if expected != view:
                    _report_difference(vector, number, view, _signed(expected))
        self._ran = 0  # the results are those of the golden vectors, not of the user's input
        return self._golden_count

    def __repr__(self):
        return "<Model %s, %d operators>" % (self._name(), self._operators)

    def __str__(self):
        rows = [self._describe(k) + (self._operator(k)[6],) for k in range(self._operators)]
        lines = _table(self._name(), rows, "  tensor %d")
        lines.append("%d MACs, %d bytes of weights" % (sum(row[3] for row in rows), self._weight_bytes()))
        lines.append("arena %d bytes, of which scratch up to %d" % (self.arena_bytes, self.scratch_bytes))
        for i in range(len(self.inputs) + len(self.outputs)):
            shape, scale, zero_point = self.info(i)
            name = "input" if i < len(self.inputs) else "output"
            lines.append("%s %s, scale %g, zero point %d" % (name, _shape_text(shape), scale, zero_point))
        if self.labels:
            lines.append("labels: " + ", ".join(self.labels))
        return "\n".join(lines)

    def _name(self):
        return self.metadata.get("name", "model")

    def _record(self, index):
        """offset, four dimensions, rank, dtype, zero point, flags, scale of a tensor"""
        if not 0 <= index < self.tensors:
            raise ValueError("there is no tensor %d: the model has 0 to %d" % (index, self.tensors - 1))
        return struct.unpack_from("<IHHHHBBbBf", self._blob, self._tensors_offset + 20 * index)

    def _operator(self, index):
        """kind, kernel, activation range, input, input2, output, tile, weights offset and bits, coding"""
        return struct.unpack_from("<BBbbHHHHIIB", self._blob, self._operators_offset + 52 * index)

    def _view(self, index):
        record = self._record(index)
        return self._arena[record[0] : record[0] + _elements(record[1:5])]

    def _write(self, index, values, real):
        """Fill an input from int8 data in a buffer, or, if `real`, from numbers."""
        view = self.inputs[index]
        name = "input" if len(self.inputs) == 1 else "input %d" % index
        if isinstance(values, str):
            raise ValueError("%s is a string, not numbers" % name)
        raw = _typecode(values) in _BYTES
        if not (raw or real):
            raise ValueError("%s takes int8 in a buffer; use predict() for real numbers" % name)
        count = _length(values)
        if count is None or count == len(view):
            self._ran = 0  # the inputs may lie over what the last run left
            if raw:
                view[:] = values
            else:
                _, scale, zero_point = self.info(index)
                count = _quantize(values, view, scale, zero_point, name)
        if count != len(view):
            raise ValueError("%s has %d elements, got %d" % (name, len(view), count))

    def _scores(self, number):
        if self._ran < self._operators:
            raise ValueError("the model has not run to its end: there are no scores yet")
        _, scale, zero_point = self.info(len(self.inputs) + number)
        return [scale * (q - zero_point) for q in self.outputs[number]]

    def _describe(self, index):
        """(index, operator, output shape, multiply-accumulates)"""
        operator = self._operator(index)
        kind = operator[0]
        outputs = _elements(self._record(operator[6])[1:5])
        macs = 0
        if kind == 3:  # each row of the output uses one row of the input
            rows = outputs // self._record(operator[6])[4]
            macs = outputs * (_elements(self._record(operator[4])[1:5]) // rows)
        elif kind < 3:
            kernel_h, kernel_w = struct.unpack_from("<HH", self._blob, self._operators_offset + 52 * index + 32)
            macs = outputs * kernel_h * kernel_w * (self._record(operator[4])[4] if kind == 1 else 1)
        return index, _KINDS[kind - 1], self.info(operator[6])[0], macs

    def _weight_bytes(self):
        return sum((self._operator(k)[9] + 7) // 8 for k in range(self._operators))
