"""Modules of Keras' backend that are Tenon's own; all others are Keras' own for TensorFlow over tenon.tf."""
