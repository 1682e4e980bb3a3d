"""A polynomial by the extension module and by tf, as a table."""
import horner
import tabulate
import tensorflow as tf

coefficients = [2.0, -1.0, 0.5]
places = tf.constant([-1.0, 0.0, 3.0])
values = coefficients[0] * places ** 2 + coefficients[1] * places + coefficients[2]
rows = [(x, horner.value(coefficients, float(x)), y) for x, y in zip(places.numpy(), values.numpy())]
print(tabulate.tabulate(rows, headers=("x", "horner", "tf")))
