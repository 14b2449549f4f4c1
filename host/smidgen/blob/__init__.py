"""The blob (`.smg`): writing it, and reading it back independently. docs/format.md is the norm for both."""
