"""Which boards are on the cables of this computer, and what the names of ports mean.

`resolve("auto")` gives the port of the only board there is; `find_devices()` lists all of them and asks each what it
is, without disturbing a program that runs. docs/ports.md explains both.
"""

from __future__ import annotations

from smidgen.ports.candidates import Candidate, ListPorts, list_candidates
from smidgen.ports.devices import Device, State, find_devices
from smidgen.ports.names import AUTO, HOST, ID_PREFIX, PORT_VARIABLE, default_port, resolve

__all__ = [
    "AUTO",
    "HOST",
    "ID_PREFIX",
    "PORT_VARIABLE",
    "Candidate",
    "Device",
    "ListPorts",
    "State",
    "default_port",
    "find_devices",
    "list_candidates",
    "resolve",
]
