"""TensorFlow's names that few programs use, by modules of what they are about."""
