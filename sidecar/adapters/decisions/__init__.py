"""Where decisions are told: to the process's log, to files, to whoever asks for one by its id."""
