"""What a sender is told when the daemon takes no more. By itself, for the processes in front of the seam need nothing
else of what is behind it."""


class Stopping(Exception):
    """The daemon takes no more work."""


class Unknown(Stopping):
    """The store failed while it wrote: nobody knows whether it is stored. Sent again, it is found out."""
