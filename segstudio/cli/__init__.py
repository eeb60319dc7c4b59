"""`segstudio` on the command line: the functions of the window, without one."""
