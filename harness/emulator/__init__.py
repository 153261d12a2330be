"""A phone in software: adbd's protocol on a loopback socket."""
