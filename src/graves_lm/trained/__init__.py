"""Files of trained networks, read as what they are: data from somebody else."""
