"""Objects that are saved and loaded: their attributes, variables and functions."""
import os
import tempfile

import numpy as np


def make_model(tf):
    """A module with functions of every kind, called, so that there is something to save."""
    class Part(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable([[1., 2.], [3., 4.]], name="w")

        @tf.function
        def __call__(self, x, scale=1.0, training=False):
            y = tf.matmul(x, self.w) * scale
            if training:
                y = -y
            return y

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.part, self.parts = Part(), [Part(), Part()]
            self.named = {"a": tf.Variable(1.5), "b": (tf.Variable(2), 3)}
            self.b = tf.Variable([1., 2.], trainable=False, name="bias")
            self.rows = tf.Variable([[1.]], shape=[None, 1])
            self.number, self.constant = 5, tf.constant([1., 2.])

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
        def serve(self, x):
            return {"y": self.part(x) + self.b, "z": tf.reduce_sum(x) + self.constant[1]}

        @tf.function
        def step(self, x):
            self.b.assign_add(x)

        @tf.function
        def pairs(self, pair, *, k=None):
            return pair["a"] + pair["b"][0]

        @tf.function
        def total(self, n):
            s = 0
            while n > 0:
                s += n
                n -= 1
            return s

        @tf.function
        def nested(self, x, y=None):
            return [x, None, (x + 1., {"q": x * 2.})]

        @tf.function
        def never(self, x):
            return x

        @tf.function
        def ragged(self, r):
            return r * 2, tf.reduce_sum(r)

    model = Model()
    x = tf.ones([2, 2])
    model.part(x)
    model.part(x, 2.0, training=True)
    model.step(tf.constant([1., 1.]))
    model.pairs({"a": tf.constant(1), "b": [tf.constant(2)]})
    model.pairs({"a": tf.constant(1.), "b": [tf.constant(2.)]}, k=3)
    model.total(tf.constant(4))
    model.nested(tf.constant(1.))
    model.nested(tf.constant([1.]), [tf.constant(2.), "text"])
    model.ragged(tf.ragged.constant([[1], [2, 3]]))
    return model


def _shown(value):
    if isinstance(value, dict):
        return {key: _shown(each) for key, each in sorted(value.items())}
    if isinstance(value, (list, tuple)):
        return [_shown(each) for each in value]
    if hasattr(value, "to_list"):
        return value.to_list()
    return [value.numpy().tolist(), value.dtype.name] if hasattr(value, "numpy") else value


def _tried(calls):
    """What each gives, or the class of its error."""
    answers = []
    for call in calls:
        try:
            answers.append(_shown(call()))
        except Exception as error:
            answers.append(type(error).__name__)
    return answers


def calls_of(tf, m):
    """What a loaded model answers, whoever saved and whoever loads it."""
    x, signature = tf.ones([2, 2]), m.signatures["serving_default"]
    answers = _tried([
        lambda: [m.part.w, m.b, dict(m.named), [p.w for p in m.parts], m.rows],
        lambda: [m.part.w.name, m.part.w.trainable, m.b.name, m.b.trainable, m.rows.shape.as_list()],
        lambda: m.part(x), lambda: m.part(x, 2.0, training=True), lambda: m.part(x, training=True, scale=2.0),
        lambda: m.part(x, 3.0), lambda: m.part(np.ones([2, 2], np.float32)), lambda: m.part([[1., 2.], [3., 4.]]),
        lambda: m.part(tf.ones([3, 2])), m.part, lambda: m.part(x, bogus=1),
        lambda: m.serve(tf.ones([1, 2])), lambda: m.serve(x=tf.ones([3, 2])), lambda: m.serve(tf.ones([1, 3])),
        lambda: m.serve(np.ones([1, 2])), lambda: m.serve([[1, 2]]), lambda: m.serve(tf.constant([[1, 2]])),
        lambda: m.step(tf.constant([1., 1.])), lambda: m.b,
        lambda: m.pairs({"a": tf.constant(1), "b": [tf.constant(2)]}),
        lambda: m.pairs({"a": tf.constant(1.), "b": [tf.constant(2.)]}, k=3),
        lambda: m.pairs({"a": tf.constant(1.), "b": [tf.constant(2.)]}), lambda: m.pairs({"a": 1, "b": [2]}),
        lambda: m.pairs({"a": tf.constant(1), "b": (tf.constant(2),)}),
        lambda: m.total(tf.constant(5)), lambda: m.total(5), lambda: m.total(5.5),
        lambda: m.nested(tf.constant(2.)), lambda: m.nested(tf.constant([3.]), [tf.constant(2.), "text"]),
        lambda: m.nested(tf.constant([3.]), [tf.constant(2.), "other"]), lambda: m.never(1.),
        lambda: m.ragged(tf.ragged.constant([[4, 5, 6]])), lambda: m.number, lambda: m.constant,
        lambda: sorted(m.signatures), lambda: signature(x=tf.ones([1, 2])), lambda: signature(tf.ones([1, 2])), signature,
        lambda: signature(y=1.), lambda: str(signature.structured_input_signature), lambda: sorted(
            signature.structured_outputs), lambda: sorted(v.name for v in signature.variables),
        lambda: [len(m.part.__call__.concrete_functions), len(m.pairs.concrete_functions)],
        lambda: m.serve.get_concrete_function()(tf.ones([1, 2])),
        lambda: m.part.__call__.get_concrete_function(tf.TensorSpec([2, 2]))(x), lambda: bool(m.tensorflow_version)])

    def gradient():
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(m.part(x))
        return tape.gradient(y, m.part.w)

    def changed():
        m.part.w.assign(tf.ones([2, 2]))
        return m.part(x), signature(x=tf.ones([1, 2]))

    @tf.function
    def around(x):
        return m.part(x) + m.serve(x)["y"]

    return answers + _tried([gradient, changed, lambda: around(x)])


def modules(tf):
    """Saved, loaded, and what was loaded saved and loaded again."""
    with tempfile.TemporaryDirectory() as root:
        model, first, second = make_model(tf), os.path.join(root, "1"), os.path.join(root, "2")
        tf.saved_model.save(model, first, signatures=model.serve)
        loaded = tf.saved_model.load(first)
        tf.saved_model.save(loaded, second, signatures=loaded.signatures)
        return [calls_of(tf, loaded), _shown(tf.saved_model.load(second).part(tf.ones([2, 2])))]


def signatures(tf):
    """Which functions become signatures, and what is refused."""
    spec = tf.TensorSpec([None], tf.float32, name="inp")

    class None_(tf.Module):
        @tf.function
        def f(self, x):
            return x

    class One(None_):
        @tf.function(input_signature=[spec])
        def g(self, x):
            return x + 1.

    class Two(One):
        @tf.function(input_signature=[spec])
        def h(self, x):
            return x

    class Structured(tf.Module):
        @tf.function(input_signature=[{"a": spec, "b": (tf.TensorSpec([None]), tf.TensorSpec([None]))}, tf.TensorSpec([None])])
        def g(self, x, y):
            return x["a"] + x["b"][0] + y

    class Nested(tf.Module):
        @tf.function(input_signature=[spec])
        def g(self, x):
            return [x, [x]]

    def saved(model, **options):
        with tempfile.TemporaryDirectory() as root:
            tf.saved_model.save(model, os.path.join(root, "1"), **options)
            loaded = tf.saved_model.load(os.path.join(root, "1"))
            return {name: [sorted(f.structured_input_signature[1]), str(f.structured_outputs),
                           f(**dict.fromkeys(f.structured_input_signature[1], tf.constant([2.])))]
                    for name, f in loaded.signatures.items()}
    one = One()
    concrete = one.f.get_concrete_function(spec)
    holder = tf.Module()
    holder.variable, holder.empty, holder.f = tf.Variable(1.), [], concrete
    return _tried([
        lambda: saved(None_()), lambda: saved(one), lambda: saved(Two()), lambda: saved(Structured()), lambda: saved(Nested()), lambda: saved(tf.Module()),
        lambda: saved(one, signatures=concrete), lambda: saved(holder, signatures=concrete),
        lambda: saved(one, signatures=one.f), lambda: saved(one, signatures=lambda x: x), lambda: saved(5),
        lambda: tf.saved_model.load("/nowhere")])


CASES = [modules, signatures]
