"""Training, prediction and scores. Importing this loads no torch until a name is used."""
