"""How good codes are: tasks on labelled patches with the encoder frozen."""
