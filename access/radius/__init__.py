"""RADIUS as both sides of the program speak it: packets, attributes, and the asking of a NAS (RFC 2865, 2866, 5176)."""
