"""What fastnst runs on: files, threads, signals, devices, memory."""
