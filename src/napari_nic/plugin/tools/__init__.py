"""What a pointer does while an annotator's tool is active: state machines that know neither Qt nor napari."""
