"""Files, processes, locks, interrupts, plug-ins and progress: what the machine gives us."""
