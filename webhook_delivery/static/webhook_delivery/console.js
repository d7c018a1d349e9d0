// Makes the console livelier where scripts may run; everything works without it.
