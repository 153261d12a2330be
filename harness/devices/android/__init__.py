"""Android phones over ADB, emulated ones included."""
