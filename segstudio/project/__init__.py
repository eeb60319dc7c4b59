"""The project folder: pictures, label files, models, predictions, and nothing anywhere else."""
