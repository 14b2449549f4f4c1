"""A real browser, to look at pages: Debian's chromium, without a window."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_PROBE = """
<script>
window.faults = [];
window.onerror = (message) => { window.faults.push(String(message)); };
window.addEventListener('load', () => {
  const page = document.documentElement;
  const outside = [...document.querySelectorAll('body *')].filter((element) =>
    !element.closest('.scroll') && !element.closest('svg') && element.getBoundingClientRect().right > innerWidth + 1);
  const pictures = [...document.querySelectorAll('.card > svg')].map((element) => {
    const box = element.getBoundingClientRect();
    return [Math.round(box.width), Math.round(box.height)];
  });
  parent.postMessage(JSON.stringify({
    viewport: innerWidth, scroll: page.scrollWidth, outside: outside.map((element) => element.outerHTML.slice(0, 80)),
    pictures: pictures, faults: window.faults, text: document.body.innerText,
    loads: performance.getEntriesByType('resource').map((entry) => entry.name),
  }), '*');
});
</script>
"""
# A window of the browser cannot be as narrow as a phone, a frame can.
_FRAME = """<!DOCTYPE html><title>frame</title><pre id="seen"></pre>
<script>window.onmessage = (event) => { document.getElementById('seen').textContent = event.data; };</script>
<iframe src="PAGE" style="border:0;width:WIDTHpx;height:HEIGHTpx"></iframe>
"""


def look_at(page: Path, width: int, height: int, screenshot: Path | None = None) -> dict[str, Any]:
    """What a browser with a window of this size makes of a page; skips the test where there is no browser."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no browser to look at the report with: install the package chromium")
    probed = page.with_name("probed.html")
    probed.write_text(page.read_text(encoding="utf-8").replace("<head>", f"<head>{_PROBE}", 1), encoding="utf-8")
    frame = page.with_name("frame.html")
    frame.write_text(_FRAME.replace("PAGE", probed.name).replace("WIDTH", str(width)).replace("HEIGHT", str(height)))
    profile = page.with_name("browser")
    command = [
        program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
        f"--user-data-dir={profile}", f"--window-size={width},{height}",
    ]  # fmt: skip
    if screenshot is not None:
        _run([*command, f"--screenshot={screenshot}", page.as_uri()])
    document = _run([*command, "--virtual-time-budget=5000", "--dump-dom", frame.as_uri()])
    found = re.search(r'<pre id="seen">(.+?)</pre>', document, re.DOTALL)
    assert found, document[-500:]
    seen: dict[str, Any] = json.loads(html.unescape(found[1]))
    return seen


def _run(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
