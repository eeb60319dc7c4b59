"""Network architectures (torch.nn) behind one table of cards. Importing this loads no torch."""
