"""What tf.Module and tf.train do, as functions of `tf` that give plain Python values."""
import os
import tempfile

import numpy as np

from data_cases import error_of, plain


def make_model(tf):
    class Layer(tf.Module):
        def __init__(self, size, name=None):
            super().__init__(name=name)
            self.kernel = tf.Variable(tf.fill([size], 1. * size), name="kernel")

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable([1., 2.], name="w")
            self.layers = [Layer(1), {"a": Layer(2), "n": 3}]
            self.table = {"k": tf.Variable([4.]), "z": (tf.Variable(5.), "text")}
            self.first = Layer(3, name="own")
            self.count = 3
            self._hidden = tf.Variable(6, trainable=False)
            self.odd = {"a.b/c": tf.Variable(8.)}

        @tf.Module.with_name_scope
        def build(self):
            if not hasattr(self, "late"):
                self.late = tf.Variable(7., name="late")

    return Model


def zeroed(module):
    for variable in module.variables:
        variable.assign(variable * 0)
    return module


def modules(tf):
    model = make_model(tf)()
    model.build()

    class MyHTTPNet2D(tf.Module):
        pass

    return [model.name, model.name_scope.name, model.first.name, [v.name for v in model.variables],
            plain([v for v in model.variables]), plain([v for v in model.trainable_variables]),
            plain([v for v in model.non_trainable_variables]), [type(m).__name__ for m in model.submodules],
            [m.kernel.shape.as_list() for m in model.submodules], MyHTTPNet2D().name,
            MyHTTPNet2D(name="AbC2").name_scope.name, error_of(lambda: tf.Module(name="a b"))]


def files(tf):
    folder = tempfile.mkdtemp()
    model, step = make_model(tf)(), tf.Variable(0, dtype=tf.int64)
    model.build()
    checkpoint = tf.train.Checkpoint(model=model, step=step)
    paths = [checkpoint.save(os.path.join(folder, "ck")) for _ in range(2)] + [checkpoint.write(os.path.join(folder, "w"))]
    reader = tf.train.load_checkpoint(folder)
    with open(os.path.join(folder, "checkpoint")) as file:
        state = file.read()
    return [[os.path.basename(p) for p in paths], sorted(os.listdir(folder)), state,
            [[name, list(shape)] for name, shape in tf.train.list_variables(folder)],
            [[name, plain(reader.get_tensor(name))] for name, _ in tf.train.list_variables(folder) if "OBJECT" not in name],
            sorted([n, d.name] for n, d in reader.get_variable_to_dtype_map().items()),
            os.path.basename(tf.train.latest_checkpoint(folder)), tf.train.latest_checkpoint(folder + "/none"),
            plain(tf.train.load_variable(folder, "step/.ATTRIBUTES/VARIABLE_VALUE")), reader.has_tensor("step"),
            plain(checkpoint.save_counter)]


def restoring(tf):
    prefix = os.path.join(tempfile.mkdtemp(), "ck")
    model = make_model(tf)()
    model.build()
    path = tf.train.Checkpoint(model=model, step=tf.Variable(3, dtype=tf.int64)).save(prefix)
    rooted = tf.train.Checkpoint(model).save(prefix + "r")
    out = []
    again = zeroed(make_model(tf)())
    step = tf.Variable(0, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(model=again, step=step)
    status = checkpoint.restore(path)
    out += [plain([v for v in again.variables]), plain(step), plain(checkpoint.save_counter),
            error_of(status.assert_consumed), error_of(status.assert_existing_objects_matched)]
    again.build()
    out += [plain(again.late), error_of(status.assert_consumed)]
    partial = tf.train.Checkpoint(step=tf.Variable(1, dtype=tf.int64))
    status = partial.restore(path).expect_partial()
    out += [plain(partial.step), error_of(status.assert_existing_objects_matched), error_of(status.assert_consumed),
            error_of(status.assert_nontrivial_match)]
    wrong = tf.train.Checkpoint(other=tf.Variable(1.))
    status = wrong.restore(path)
    out += [error_of(status.assert_existing_objects_matched), error_of(status.assert_nontrivial_match)]
    fresh = zeroed(make_model(tf)())
    fresh.build()
    status = tf.train.Checkpoint(fresh).restore(rooted)
    out += [error_of(status.assert_consumed), plain([v for v in fresh.variables])]
    deferred = tf.train.Checkpoint()
    deferred.restore(path)
    deferred.step = tf.Variable(0, dtype=tf.int64)
    deferred.model = zeroed(make_model(tf)())
    out += [plain(deferred.step), plain([v for v in deferred.model.variables])]
    written = tf.train.Checkpoint(v=tf.Variable("text")).write(prefix + "t")
    texts = tf.train.Checkpoint(v=tf.Variable(""))
    texts.read(written).assert_consumed()
    nested = tf.train.Checkpoint(inner=tf.train.Checkpoint(v=tf.Variable([1, 2])), twice=[again, again])
    path = nested.save(prefix + "n")
    out += [plain(texts.v), [n for n, _ in tf.train.list_variables(path)]]
    shared = tf.Variable(np.arange(3))
    both = tf.train.Checkpoint(a=shared, b=shared, c=(shared,))
    return out + [[n for n, _ in tf.train.list_variables(both.save(prefix + "s"))]]


def refused(tf):
    prefix = os.path.join(tempfile.mkdtemp(), "ck")
    path = tf.train.Checkpoint(step=tf.Variable(3, dtype=tf.int64)).save(prefix)
    return [error_of(f) for f in (
        lambda: tf.train.Checkpoint(step=tf.Variable([1, 2], dtype=tf.int64)).restore(path),
        lambda: tf.train.Checkpoint(step=tf.Variable(1.)).restore(path), lambda: tf.train.Checkpoint(step=1),
        lambda: tf.train.Checkpoint(step=tf.Variable(1.)).restore(path + "0"),
        lambda: tf.train.Checkpoint(step=tf.Variable(1.)).read(path + "0"),
        lambda: tf.train.Checkpoint(step=tf.Variable(1.)).restore(None).assert_consumed(),
        lambda: tf.train.load_variable(path, "none"), lambda: tf.train.load_checkpoint(os.path.dirname(path) + "0"),
        lambda: tf.train.CheckpointManager(tf.train.Checkpoint(), "/tmp", max_to_keep=0))]


def managing(tf):
    folder = os.path.join(tempfile.mkdtemp(), "deep")
    step = tf.Variable(0, dtype=tf.int64)
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(step=step), folder, max_to_keep=2)
    out = [manager.latest_checkpoint, manager.restore_or_initialize()]
    for _ in range(3):
        step.assign_add(1)
        out.append(os.path.basename(manager.save()))
    out += [[os.path.basename(p) for p in manager.checkpoints], sorted(os.listdir(folder)),
            os.path.basename(tf.train.latest_checkpoint(folder))]
    other = tf.Variable(0, dtype=tf.int64)
    again = tf.train.CheckpointManager(tf.train.Checkpoint(step=other), folder, max_to_keep=3, step_counter=other,
                                       checkpoint_interval=5)
    out += [os.path.basename(again.restore_or_initialize()), plain(other), [os.path.basename(p) for p in again.checkpoints]]
    out.append(again.save() is None)
    for steps in (4, 5):
        other.assign_add(steps)
        out.append(os.path.basename(again.save() or "none"))
    out.append(again.save(check_interval=False))
    other.assign_add(1)
    state = tf.train.get_checkpoint_state
    out += [os.path.basename(again.save(checkpoint_number=77, check_interval=False)), sorted(os.listdir(folder)),
            [os.path.basename(p) for p in state(folder).all_model_checkpoint_paths]]
    return out


CASES = [modules, files, restoring, refused, managing]
