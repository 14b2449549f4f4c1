"""Everything between the computer and a board: the serial line, the session, virtual boards."""
