"""MicroPython onto boards."""
