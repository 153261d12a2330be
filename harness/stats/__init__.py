"""Statistics on plain numbers and estimates. Pure: no I/O, no clock."""
