"""Training of patch encoders: patches, augmentation, losses and loops."""
