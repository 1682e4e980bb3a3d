"""What TensorFlow 1 exported: sessions with ref variables, frames, tables with assets, feature columns and the estimators' signatures."""
from served import WORDS, choice, integers, model, normal, np, os, tf, write_lines

v1 = tf.compat.v1
from tensorflow.python.feature_column import feature_column as fc  # noqa: E402  the first form, of canned estimators

CITIES = ["oslo", "rome", "lima", "bonn"]


def export(folder, build, legacy_init=False, saver=None):
    """build() makes a graph and returns {signature: (method, inputs, outputs, rows of the inputs)}."""
    with v1.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(3)
        signatures = build()
        session.run([v1.global_variables_initializer(), v1.tables_initializer(), v1.local_variables_initializer()])
        defs = {}
        for name, (method, inputs, outputs, _) in signatures.items():
            info = v1.saved_model.utils.build_tensor_info
            defs[name] = v1.saved_model.signature_def_utils.build_signature_def({k: info(t) for k, t in inputs.items()}, {k: info(t) for k, t in outputs.items()}, method)
        builder = v1.saved_model.Builder(folder)
        init = v1.tables_initializer()
        more = {"legacy_init_op": init} if legacy_init else {"main_op": init}
        builder.add_meta_graph_and_variables(session, ["serve"], defs, assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
                                             saver=saver() if saver else None, strip_default_attrs=True, **more)
        builder.save()
    return {name: rows for name, (_, _, _, rows) in signatures.items()}


PREDICT, CLASSIFY, REGRESS = ("tensorflow/serving/" + name for name in ("predict", "classify", "regress"))


def dense(x, units, name, activation=None, ref=True):
    with v1.variable_scope(name, use_resource=not ref):
        w = v1.get_variable("kernel", [x.shape[-1], units], initializer=v1.random_normal_initializer(stddev=0.5, seed=len(name)))
        b = v1.get_variable("bias", [units], initializer=v1.random_uniform_initializer(-1, 1, seed=4))
    y = v1.nn.xw_plus_b(x, w, b)
    return activation(y) if activation else y


def estimator_rows(n):
    draw = np.random.default_rng(n)

    def one(i):
        feature = {"age": tf.train.Feature(float_list=tf.train.FloatList(value=[float(draw.uniform(10, 70))])),
                   "city": tf.train.Feature(bytes_list=tf.train.BytesList(value=[draw.choice([*CITIES, "nome"]).encode()])),
                   "id": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(draw.integers(0, 50))])),
                   "z": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"not NUL at the end"]))}
        return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)
    return np.array([one(i) for i in range(n)], object)


def columns(folder):
    path = write_lines(folder, "cities.txt", CITIES)
    f = tf.feature_column
    age = f.numeric_column("age", normalizer_fn=lambda v: (v - 40.0) / 10.0)
    buckets = f.bucketized_column(f.numeric_column("age"), [18.0, 30.0, 50.0])
    city = f.categorical_column_with_vocabulary_file("city", path, num_oov_buckets=1)
    listed = f.categorical_column_with_vocabulary_list("city", CITIES, default_value=0)
    ids = f.categorical_column_with_hash_bucket("id", 12, tf.int64)
    cross = f.crossed_column([buckets, "city"], 20)
    deep = [age, buckets, f.indicator_column(city), f.embedding_column(ids, 4), f.embedding_column(listed, 3, combiner="sqrtn"), f.indicator_column(cross)]
    return [buckets, city, ids, cross], deep


def parsed(folder):
    wide, deep = columns(folder)
    serialized = v1.placeholder(tf.string, [None], "input_example_tensor")
    features = v1.io.parse_example(serialized, v1.feature_column.make_parse_example_spec(wide + deep))
    return serialized, features, wide, deep


def class_signatures(serialized, logits, classes, rows):
    p = tf.nn.softmax(logits, name="probabilities")
    ids = tf.argmax(logits, -1)[:, None]
    names = tf.tile(tf.constant(classes)[None], [tf.shape(p)[0], 1])
    return {"serving_default": (CLASSIFY, {"inputs": serialized}, {"classes": names, "scores": p}, {"inputs": rows}),
            "predict": (PREDICT, {"examples": serialized}, {"logits": logits, "probabilities": p, "class_ids": ids, "classes": tf.as_string(ids)},
                        {"examples": rows})}


@model
def v1_dnn_classifier(folder):
    def build():
        serialized, features, _, deep = parsed(folder)
        with v1.variable_scope("dnn"):
            x = v1.feature_column.input_layer(features, deep)
            x = dense(dense(x, 8, "hidden0", tf.nn.relu), 6, "hidden1", tf.nn.relu)
            tf.compat.v1.summary.scalar("fraction_of_zero_values", tf.nn.zero_fraction(x))
            return class_signatures(serialized, dense(x, 3, "logits"), ["a", "b", "c"], estimator_rows)
    return export(folder, build)


@model
def v1_linear_wide_and_deep(folder):
    def build():
        serialized, features, wide, deep = parsed(folder)
        linear = v1.feature_column.linear_model(features, wide, units=3, sparse_combiner="mean")
        x = dense(v1.feature_column.input_layer(features, deep), 5, "deep", tf.nn.elu, ref=False)
        return class_signatures(serialized, linear + dense(x, 3, "head", ref=False), ["x", "y", "z"], estimator_rows)
    return export(folder, build, legacy_init=True)


@model
def v1_regressor_partitioned(folder):
    def build():
        serialized, features, _, deep = parsed(folder)
        with v1.variable_scope("net", partitioner=v1.fixed_size_partitioner(3)):
            x = v1.feature_column.input_layer(features, deep)
            w = v1.get_variable("w", [10, 4], initializer=v1.random_normal_initializer(seed=1))
            picked = v1.nn.embedding_lookup(w, tf.cast(features["id"].values % 10, tf.int32), partition_strategy="div")
        y = tf.squeeze(dense(tf.concat([x, picked], 1), 1, "out"), 1) * 3.0
        return {"serving_default": (REGRESS, {"inputs": serialized}, {"outputs": y}, {"inputs": estimator_rows})}
    return export(folder, build)


@model
def v1_while_dynamic_rnn(folder):
    def build():
        x = v1.placeholder(tf.float32, [None, 7, 4], "x")
        n = v1.placeholder(tf.int32, [None], "n")
        w = v1.get_variable("w", initializer=np.random.default_rng(1).standard_normal((9, 20)).astype(np.float32))
        zero = tf.zeros([tf.shape(x)[0], 5])
        ta = tf.TensorArray(tf.float32, 7).unstack(tf.transpose(x, [1, 0, 2]))
        out = tf.TensorArray(tf.float32, 7)

        def body(t, c, h, out):
            i, j, f, o = tf.split(tf.matmul(tf.concat([ta.read(t), h], 1), w), 4, 1)
            new_c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
            new_h = tf.tanh(new_c) * tf.sigmoid(o)
            live = (t < n)[:, None] & tf.ones_like(new_h, tf.bool)
            new_c, new_h = tf.where(live, new_c, c), tf.where(live, new_h, h)
            return t + 1, new_c, new_h, out.write(t, tf.where(live, new_h, tf.zeros_like(h)))

        v1.disable_control_flow_v2()
        _, c, h, out = v1.while_loop(lambda t, *_: t < 7, body, [0, zero, zero, out])
        sequence = tf.transpose(out.stack(), [1, 0, 2])
        gated = v1.cond(tf.reduce_sum(x) > 0, lambda: sequence * 2.0, lambda: v1.cond(tf.shape(x)[0] > 2, lambda: -sequence, lambda: sequence))
        return {"serving_default": (PREDICT, {"x": x, "n": n}, {"sequence": sequence, "c": c, "h": h, "gated": gated},
                                    {"x": normal(7, 4), "n": integers(8)})}
    return export(folder, build)


@model
def v1_keras_like_convnet(folder):
    """What TF-slim and tf.layers left: is_training placeholders, fused batch norm with moving statistics, dropout, LRN."""
    def build():
        x = v1.placeholder(tf.float32, [None, 16, 16, 3], "x")
        training = v1.placeholder_with_default(False, [], "is_training")
        k = v1.get_variable("k", initializer=np.random.default_rng(2).standard_normal((3, 3, 3, 8)).astype(np.float32) * 0.3)
        y = tf.nn.conv2d(x, k, 2, "SAME")
        scale, offset = v1.get_variable("g", initializer=np.linspace(0.5, 1.5, 8, dtype=np.float32)), v1.get_variable("o", initializer=np.ones(8, np.float32))
        mean, variance = v1.get_variable("mm", initializer=np.linspace(-1, 1, 8, dtype=np.float32)), v1.get_variable("mv", initializer=np.linspace(1, 2, 8, dtype=np.float32))
        trained = lambda: v1.nn.fused_batch_norm(y, scale, offset, epsilon=1e-3)[0]
        served = lambda: v1.nn.fused_batch_norm(y, scale, offset, mean, variance, epsilon=1e-3, is_training=False)[0]
        y = tf.nn.relu(v1.cond(training, trained, served))
        y = tf.nn.lrn(y, 4, bias=1.0, alpha=0.001 / 9.0, beta=0.75)
        y = tf.nn.max_pool2d(y, 3, 2, "SAME")
        y = v1.cond(training, lambda: tf.nn.dropout(y, rate=0.5), lambda: y)
        y = tf.reshape(y, [-1, 4 * 4 * 8])
        return {"serving_default": (PREDICT, {"images": x}, {"scores": tf.nn.softmax(dense(y, 4, "fc")), "embedding": tf.nn.l2_normalize(y, 1)},
                                    {"images": normal(16, 16, 3)})}
    return export(folder, build)


@model
def v1_tables_and_counts(folder):
    """Tables of both kinds with assets, and a signature that counts its calls in a ref variable."""
    def build():
        words = v1.placeholder(tf.string, [None], "words")
        path = write_lines(folder, "vocabulary.txt", sorted(set(WORDS)))
        table = tf.lookup.StaticVocabularyTable(tf.lookup.TextFileInitializer(path, tf.string, 0 - 2, tf.int64, 0 - 1), 2)
        names = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(tf.range(3, dtype=tf.int64), tf.constant(["x", "y", "z"])), "?")
        ids = table.lookup(words)
        count = v1.get_variable("count", initializer=np.int64(40), use_resource=False, trainable=False)
        emb = v1.get_variable("emb", initializer=np.random.default_rng(3).standard_normal((20, 3)).astype(np.float32), use_resource=False)
        with tf.control_dependencies([v1.assign_add(count, tf.size(words, tf.int64)), v1.scatter_add(emb, [0, 1], np.ones((2, 3), np.float32))]):
            total, e = count.read_value(), tf.gather(emb.read_value(), ids)
        return {"serving_default": (PREDICT, {"words": words}, {"ids": ids, "names": names.lookup(ids), "total": total, "e": e},
                                    {"words": lambda n: choice(WORDS + ["zzz"])(n).astype(object)})}
    return export(folder, build)


@model
def v1_image_retrain(folder):
    """The image retraining example: bytes by map_fn of TensorFlow 1, resize with align_corners, a bottleneck."""
    def build():
        from served_vision import encoded, jpeg
        data = v1.placeholder(tf.string, [None], "image_bytes")

        def one(b):
            image = tf.image.convert_image_dtype(tf.image.decode_jpeg(b, channels=3), tf.float32)
            return tf.squeeze(v1.image.resize_bilinear(image[None], [12, 12], align_corners=True), 0)
        images = v1.map_fn(one, data, dtype=tf.float32)
        pooled = tf.reduce_mean(tf.nn.depthwise_conv2d((images - 0.5) * 2, np.ones((3, 3, 3, 2), np.float32) / 9, [1, 1, 1, 1], "VALID"), [1, 2])
        scores = tf.nn.softmax(dense(pooled, 3, "final"))
        value, index = tf.nn.top_k(scores, 2)
        return {"serving_default": (PREDICT, {"image_bytes": data}, {"value": value, "index": index, "images": images}, {"image_bytes": encoded(jpeg)})}
    return export(folder, build)


@model
def v1_train_op_signature(folder):
    """Optimizers on ref variables, run by a signature."""
    def build():
        x, y = v1.placeholder(tf.float32, [None, 4], "x"), v1.placeholder(tf.float32, [None], "y")
        step = v1.get_variable("step", initializer=np.int64(0), use_resource=False, trainable=False)
        outputs = {}
        for name, make in (("sgd", lambda: v1.train.GradientDescentOptimizer(0.1)), ("adam", lambda: v1.train.AdamOptimizer(0.1)),
                           ("momentum", lambda: v1.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True)), ("adagrad", lambda: v1.train.AdagradOptimizer(0.1)),
                           ("rms", lambda: v1.train.RMSPropOptimizer(0.01, momentum=0.5)), ("ftrl", lambda: v1.train.FtrlOptimizer(0.1, l1_regularization_strength=0.01)),
                           ("adadelta", lambda: v1.train.AdadeltaOptimizer(0.5)), ("proximal", lambda: v1.train.ProximalAdagradOptimizer(0.1)),
                           ("centered", lambda: v1.train.RMSPropOptimizer(0.01, centered=True)), ("pgd", lambda: v1.train.ProximalGradientDescentOptimizer(0.1, 0.01))):
            with v1.variable_scope(name):
                w = v1.get_variable("w", initializer=np.linspace(-1, 1, 4, dtype=np.float32)[:, None], use_resource=False)
                table = v1.get_variable("t", initializer=np.linspace(-1, 1, 5, dtype=np.float32)[:, None], use_resource=False)
                predicted = tf.squeeze(x @ w, 1) + tf.squeeze(tf.gather(table, tf.cast(tf.abs(y), tf.int32) % 3), 1)
                loss = tf.reduce_mean(tf.square(predicted - y))
                with tf.control_dependencies([make().minimize(loss, step, var_list=[w, table])]):
                    outputs[name], outputs[name + "_t"] = w.read_value(), table.read_value()
        with tf.control_dependencies(list(outputs.values())):
            outputs["step"] = step.read_value()
        return {"train": (PREDICT, {"x": x, "y": y}, outputs, {"x": normal(4), "y": normal()})}
    return export(folder, build)
