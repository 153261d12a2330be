"""Files, child processes, locks, downloads, the cache, interrupts, plug-ins and progress."""
