"""The bytes of a blob, handed out section by section: here alone bounds are checked,
and here the bytes are found that no section claims."""

from __future__ import annotations

from smidgen.blob.contents import Span
from smidgen.errors import BlobError

HEADER_BYTES = 64


def require(condition: bool, subject: str, problem: str) -> None:
    """Raise a BlobError about `subject` unless the condition holds."""
    if not condition:
        raise BlobError(f"{subject}: {problem}")


class BlobBytes:
    """Exactly blob_bytes bytes. Every read goes through `section` or `view`; `section` notes what the bytes are for."""

    def __init__(self, data: bytes) -> None:
        self._view = memoryview(data)
        self._claims = [Span(0, HEADER_BYTES, "header")]

    def section(
        self, subject: str, offset: int, size: int, purpose: str, *, operator: int | None = None, alignment: int = 1
    ) -> memoryview:
        """`size` bytes at `offset` that are there for `purpose`; BlobError as `view`."""
        view = self.view(subject, offset, size, alignment=alignment)
        self._claims.append(Span(offset, size, purpose, operator))
        return view

    def view(self, subject: str, offset: int, size: int, *, alignment: int = 1) -> memoryview:
        """`size` bytes at `offset`; BlobError if they are misaligned, in the header, or not within the blob."""
        blob_bytes = len(self._view)
        require(
            offset % alignment == 0, subject, f"offset {offset} is not a multiple of {alignment}, pack the model again"
        )
        require(offset >= HEADER_BYTES, subject, f"offset {offset} is inside the header (0 .. {HEADER_BYTES - 1})")
        require(
            offset + size <= blob_bytes,
            subject,
            f"{size} bytes at offset {offset} end behind the blob, which has {blob_bytes} bytes",
        )
        return self._view[offset : offset + size]

    def spans(self) -> list[Span]:
        """Every byte of the blob once. Where claims overlap, the one that starts first counts, then the earlier one."""
        spans: list[Span] = []
        position = 0
        for claim in sorted(self._claims, key=lambda claim: claim.offset):  # stable: earlier claims stay first
            end = claim.offset + claim.size
            if end <= position:
                continue
            if claim.offset > position:
                spans.append(self._padding(position, claim.offset))
            start = max(position, claim.offset)
            spans.append(Span(start, end - start, claim.purpose, claim.operator))
            position = end
        if position < len(self._view):
            spans.append(self._padding(position, len(self._view)))
        return spans

    def _padding(self, start: int, end: int) -> Span:
        used = bytes(self._view[start:end]).strip(b"\0")
        require(not used, f"padding at offset {start}", f"{end - start} bytes that no section uses are not all zero")
        return Span(start, end - start, "padding")
