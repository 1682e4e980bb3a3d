"""TensorFlow 1's control flow (frames, Switch and Merge, TensorArrays, reference variables) gives what a TensorFlow 1
session gives. Graphs are written by TensorFlow itself, with control flow version 2 switched off."""
import os
import tempfile

from common import Checks, run_saved_model

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

FLOATS = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], np.float32)


def nested_loops(x, n):
    """A triangle of iterations; the inner loop's bound is the outer loop's counter."""
    def outer(i, total):
        inner = tf.while_loop(lambda j, _: j < i, lambda j, t: (j + 1, t + tf.cast(i * j, tf.float32) * x), [0, total])
        return i + 1, inner[1]
    return {"total": tf.while_loop(lambda i, _: i < n, outer, [0, tf.zeros_like(x)])[1]}


def three_loops(x, n):
    def level(depth, value):
        if depth == 0:
            return tf.tanh(value + x)
        return tf.while_loop(lambda k, _: k < n, lambda k, v: (k + 1, level(depth - 1, v * 0.5)), [n - 2, value])[1]
    return {"value": level(3, x)}


def condition_in_loop(x, n):
    def body(i, value):
        return i + 1, tf.cond(tf.equal(i % 2, 0), lambda: value * 2.0 + x, lambda: value - tf.cast(i, tf.float32))
    i, value = tf.while_loop(lambda i, v: tf.logical_and(i < n, tf.reduce_sum(v) < 50.0), body, [0, x])
    return {"i": i, "value": value}


def loop_in_condition(x, n):
    def loop():
        return tf.while_loop(lambda i, _: i < n, lambda i, v: (i + 1, v * 1.25 + 1.0), [0, x])
    count, value = tf.cond(n > 2, loop, lambda: (n * 10, x - 1.0))
    return {"count": count, "value": value}


def nested_conditions(x, n):
    small = n < 3
    return {"value": tf.cond(small, lambda: tf.cond(n < 1, lambda: x, lambda: x + 1.0),
                             lambda: tf.cond(small, lambda: x * 100.0, lambda: tf.cond(n > 4, lambda: -x, lambda: x * x))),
            "constant": tf.cond(small, lambda: 1.0, lambda: 2.0)}


def conditions_in_a_row(x, n):
    """The second depends on the first, by the same predicate."""
    p = n > 2
    first = tf.cond(p, lambda: x + 1.0, lambda: x - 1.0)
    middle = tf.tanh(first)
    return {"value": tf.cond(p, lambda: middle * first, lambda: middle + x), "first": first}


def condition_by_condition(x, n):
    p = tf.cond(n > 2, lambda: tf.reduce_sum(x) > 1.0, lambda: tf.constant(True))
    return {"value": tf.cond(p, lambda: x * 3.0, lambda: x / 3.0)}


def merge_index(x, n):
    """Switch and Merge by hand: which input was there."""
    from tensorflow.python.ops import control_flow_ops
    no, yes = control_flow_ops.switch(x, n > 2)
    value, index = control_flow_ops.merge([tf.square(yes), no * 0.5])
    return {"value": value, "index": index}


def switch_case(x, n):
    return {"value": tf.case([(n < 1, lambda: x), (n < 3, lambda: x + 10.0), (n < 5, lambda: x * 10.0)],
                             default=lambda: tf.zeros_like(x))}


def invariants(x, n):
    """Values of outside, used in condition and body: constant Enters."""
    weights, limit = tf.reshape(tf.range(9.0), [3, 3]) * 0.1, n * 2
    return {"value": tf.while_loop(lambda i, _: i < limit, lambda i, v: (i + 1, tf.tanh(tf.matmul(v, weights) + x)), [0, x])[1]}


def swapped(x, n):
    """Loop variables that trade places, and one that the body leaves alone."""
    i, a, b, c = tf.while_loop(lambda i, a, b, c: i < n, lambda i, a, b, c: (i + 1, b, a + 1.0, c), [0, x, -x, n])
    return {"i": i, "a": a, "b": b, "c": c}


def growing(x, n):
    """A loop variable whose shape changes."""
    value = tf.while_loop(lambda i, _: i < n, lambda i, v: (i + 1, tf.concat([v, x], 0)), [0, x],
                          shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, 3])])[1]
    return {"value": value}


def write_and_stack(x, n):
    array = tf.TensorArray(tf.float32, size=n + 1)
    array = tf.while_loop(lambda i, _: i <= n, lambda i, a: (i + 1, a.write(i, x * tf.cast(i, tf.float32))), [0, array])[1]
    return {"stack": array.stack(), "size": array.size()}


def unstack_and_read(x, n):
    array = tf.TensorArray(tf.float32, size=0, dynamic_size=True).unstack(tf.tile(x, [n + 1, 1]))
    last = tf.while_loop(lambda i, _: i < n, lambda i, v: (i + 1, v + array.read(i)), [0, tf.zeros([3])])[1]
    return {"sum": last}


def scatter_and_gather(x, n):
    array = tf.TensorArray(tf.float32, size=4, clear_after_read=False, element_shape=[3])
    array = array.scatter([3, 1], x).write(0, x[0] + tf.cast(n, tf.float32)).write(2, x[1])
    return {"gathered": array.gather([0, 3, 2]), "stack": array.stack()}


def split_and_concat(x, n):
    """Pieces of different lengths, written again in another order."""
    pieces = tf.TensorArray(tf.float32, size=3, infer_shape=False).split(tf.tile(x, [3, 1]), [1, 2, 3])
    turned = tf.TensorArray(tf.float32, size=3, infer_shape=False)
    turned = tf.while_loop(lambda i, _: i < 3, lambda i, a: (i + 1, a.write(2 - i, pieces.read(i) + tf.cast(n, tf.float32))),
                           [0, turned])[1]
    return {"joined": turned.concat()}


def growing_array(x, n):
    array = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
    array = tf.while_loop(lambda i, _: i < n, lambda i, a: (i + 1, a.write(i, tf.reduce_sum(x) + tf.cast(i, tf.float32))),
                          [0, array])[1]
    return {"size": array.size()}


def array_in_condition(x, n):
    array = tf.TensorArray(tf.float32, size=3, clear_after_read=False).scatter([0, 1], x)
    array = tf.cond(n > 2, lambda: array.write(2, x[1]), lambda: array.write(2, x[0]))
    return {"stack": array.stack()}


def map_and_scan(x, n):
    return {"map": tf.map_fn(lambda row: tf.reduce_max(row) * tf.cast(n, tf.float32), x),
            "scan": tf.scan(lambda a, row: a * 0.5 + row, x), "fold": tf.foldl(lambda a, row: a - row, x)}


def variable(name, value):
    return v1.get_variable(name, initializer=tf.constant(value), use_resource=False)


def reads_variable(x, n):
    """A reference variable read in a loop and in a branch."""
    w = variable("w", [[1.0, 0.5, -1.0]])
    value = tf.while_loop(lambda i, _: i < n, lambda i, v: (i + 1, v * 0.5 + w), [0, x])[1]
    return {"loop": value, "branch": tf.cond(n > 2, lambda: x * w, lambda: tf.identity(w) + x)}


def assigns_in_order(x, n):
    """What is read after an assignment is the new value, before it the old one. (An Identity alone shares the variable's
    memory in TensorFlow; the addition takes the value.)"""
    w = variable("w", [1.0, 2.0, 3.0])
    old = w.read_value() + 0.0
    with tf.control_dependencies([old]):
        added = v1.assign_add(w, x[0])
    with tf.control_dependencies([added]):
        new = w.read_value() + tf.cast(n, tf.float32)
    return {"old": old, "new": new, "added": added + 0.0}


def assigns_in_branch(x, n):
    w = variable("w", [1.0, 2.0, 3.0])
    value = tf.cond(n > 2, lambda: v1.assign_add(w, x[0]) + 0.0, lambda: v1.assign(w, x[1]) * 2.0)
    with tf.control_dependencies([value]):
        return {"value": value, "after": w.read_value()}


def assigns_in_loop(x, n):
    w = variable("w", [1.0, 2.0, 3.0])

    def body(i):
        with tf.control_dependencies([v1.assign_add(w, x[0] * tf.cast(i, tf.float32))]):
            return i + 1
    i = tf.while_loop(lambda i: i < n, body, [0], parallel_iterations=1)[0]
    with tf.control_dependencies([i]):
        return {"i": i, "after": w.read_value()}


def optimizers(x, n):
    """Every optimizer of TensorFlow 1 on reference variables, by dense and by sparse gradients."""
    train = v1.train
    made = [train.GradientDescentOptimizer(0.1), train.AdamOptimizer(0.1), train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
            train.AdagradOptimizer(0.1), train.RMSPropOptimizer(0.01, momentum=0.5), train.RMSPropOptimizer(0.01, centered=True),
            train.FtrlOptimizer(0.1, l1_regularization_strength=0.01), train.FtrlOptimizer(0.1, l2_shrinkage_regularization_strength=0.1),
            train.AdadeltaOptimizer(0.5), train.ProximalAdagradOptimizer(0.1, l2_regularization_strength=0.1),
            train.ProximalGradientDescentOptimizer(0.1, 0.01), train.AdagradDAOptimizer(0.1, v1.get_variable("da", initializer=np.int64(1)))]
    outputs = {}
    for i, optimizer in enumerate(made):
        with v1.variable_scope(f"model{i}"):
            w, table = variable("w", [[1.0], [-0.5], [0.25]]), variable("t", [[0.5], [-1.0], [2.0], [0.1]])
            loss = tf.reduce_sum((x @ w + tf.gather(table, [2, n % 3]) - 1.0) ** 2)
            with tf.control_dependencies([optimizer.minimize(loss, var_list=[w, table])]):
                outputs[f"w{i}"], outputs[f"t{i}"] = w.read_value(), table.read_value()
    return outputs


def scatters(x, n):
    """Each step writes into the reference that the step before gave."""
    w = variable("w", [[1.0, 2.0, 4.0], [8.0, 16.0, 32.0], [0.5, 0.25, 0.125]])
    for step in (v1.scatter_add, v1.scatter_sub, v1.scatter_mul, v1.scatter_div, v1.scatter_min, v1.scatter_max, v1.scatter_update):
        w = step(w, [0, n % 3], x * 0.5 + 1.5)
    w = v1.scatter_nd_add(v1.scatter_nd_update(w, [[1, 2]], [7.0]), [[0, n % 3]], [3.0])
    return {"w": w + 0.0}


def asserted(x, n):
    """An assertion in a branch, which only control edges leave."""
    def fail():
        with tf.control_dependencies([v1.Assert(False, [n])]):
            return tf.constant(False)
    holds = tf.cond(n < 100, lambda: tf.constant(True), fail)
    with tf.control_dependencies([holds]):
        return {"value": x + 1.0}


def gradient_of_loop(x, n):
    y = tf.while_loop(lambda i, _: i < n, lambda i, v: (i + 1, v * v), [0, x])[1]
    return {"dx": v1.gradients(y, x)[0]}


CASES = [nested_loops, three_loops, condition_in_loop, loop_in_condition, nested_conditions, conditions_in_a_row,
         condition_by_condition, merge_index, switch_case, invariants, swapped, growing, write_and_stack, unstack_and_read,
         scatter_and_gather, split_and_concat, growing_array, array_in_condition, map_and_scan, reads_variable,
         assigns_in_order, assigns_in_branch, assigns_in_loop, optimizers, scatters, asserted, gradient_of_loop]


def exports(build, folder, requests):
    """Writes a SavedModel; returns the session's answers, each from the initial state."""
    with tf.Graph().as_default(), v1.Session() as session:
        x, n = v1.placeholder(tf.float32, [None, 3], "x"), v1.placeholder(tf.int32, [], "n")
        outputs = build(x, n)
        init = v1.global_variables_initializer()
        session.run(init)
        v1.saved_model.simple_save(session, folder, {"x": x, "n": n}, outputs)
        answers = []
        for value, count in requests:
            session.run(init)
            answers.append(session.run(outputs, {x: value, n: count}))
        ops = {node.op for node in session.graph.as_graph_def().node}
        return answers, ops


def main():
    check = Checks()
    v1.disable_control_flow_v2()
    v1.disable_resource_variables()
    requests = [(FLOATS, np.int32(n)) for n in (0, 2, 3, 5)]
    with tempfile.TemporaryDirectory() as base:
        for build in CASES:
            folder = os.path.join(base, build.__name__)
            answers, ops = exports(build, folder, requests)
            check.that(ops & {"Enter", "Merge", "VariableV2", "TensorArrayV3"}, f"{build.__name__} is control flow version 1", ops)
            for (x, n), want in zip(requests, answers):
                got = run_saved_model(folder, x=x, n=n)
                for name, value in want.items():
                    check.close(got[name], value, f"{build.__name__}({n}): {name}", 1e-5)
    check.done()


if __name__ == "__main__":
    main()
