"""Recommenders and tabular models: tables, crosses, feature spaces, tf.Examples, ragged and sparse inputs."""
from served import WORDS, choice, export_keras, export_module, function, integers, keras, model, normal, np, rng, spec, tf, write_lines

layers = keras.layers
CITIES = ["oslo", "rome", "lima", "bonn"]


@model
def tabular_feature_space(folder):
    table = {"age": np.arange(40), "city": np.array(CITIES * 10), "income": np.linspace(0, 9, 40).astype(np.float32), "zip": np.arange(40) % 7}
    space = keras.utils.FeatureSpace(
        {"age": keras.utils.FeatureSpace.integer_categorical(num_oov_indices=1), "city": keras.utils.FeatureSpace.string_categorical(num_oov_indices=2),
         "income": keras.utils.FeatureSpace.float_discretized(5), "zip": keras.utils.FeatureSpace.integer_hashed(6)},
        crosses=[keras.utils.FeatureSpace.cross(("city", "zip"), 16)], output_mode="concat")
    space.adapt(tf.data.Dataset.from_tensor_slices(table))
    inputs = space.get_inputs()
    y = layers.Dense(2, activation="sigmoid")(layers.Dense(6, activation="relu")(space.get_encoded_features()))
    net = keras.Model(inputs, y)
    net.export(folder, verbose=False)
    return {"serving_default": {"age": integers(50, 1, dtype=np.int32), "city": lambda n: choice([*CITIES, "nome"], 1)(n).astype(object),
                                "income": normal(1), "zip": integers(9, 1, dtype=np.int32)}}


@model
def tabular_preprocessing_layers(folder):
    age, tag, when, text = (keras.Input((1,), name="age"), keras.Input((3,), dtype="string", name="tag"),
                            keras.Input((2,), dtype="int64", name="when"), keras.Input((1,), dtype="string", name="city"))
    a = layers.CategoryEncoding(6, output_mode="one_hot")(layers.Discretization([-1.0, 0.0, 0.5, 1.0])(age))
    b = layers.CategoryEncoding(12, output_mode="count")(layers.Hashing(12, salt=[3, 9])(tag))
    c = layers.IntegerLookup(vocabulary=[3, 1, 8, 5], output_mode="multi_hot", num_oov_indices=2)(when)
    d = layers.StringLookup(vocabulary=CITIES, output_mode="tf_idf", idf_weights=[1.0, 0.5, 2.0, 0.1])(text)
    e = layers.HashedCrossing(10, output_mode="one_hot")((text, layers.Lambda(lambda v: v[:, :1])(tag)))
    f = layers.CategoryEncoding(7, output_mode="multi_hot")(layers.Hashing(7)(when))
    g = layers.Normalization(mean=1.5, variance=4.0)(age)
    x = layers.Concatenate()([keras.ops.cast(v, "float32") for v in (a, b, c, d, e, f, g)])
    net = keras.Model([age, tag, when, text], {"x": x, "y": layers.Dense(2)(x)})
    return export_keras(net, folder, age=normal(1), tag=lambda n: choice(WORDS, 3)(n).astype(object), when=integers(10, 2, dtype=np.int64),
                        city=lambda n: choice([*CITIES, ""], 1)(n).astype(object))


@model
def recommender_two_tower(folder):
    user, item = keras.Input((1,), dtype="string", name="user"), keras.Input((1,), dtype="int64", name="item")
    users = layers.StringLookup(vocabulary=[f"u{i}" for i in range(20)], mask_token="")
    items = layers.IntegerLookup(vocabulary=list(range(100, 130)), num_oov_indices=3)
    u = layers.Flatten()(layers.Embedding(22, 6)(users(user)))
    v = layers.Flatten()(layers.Embedding(34, 6)(items(item)))
    cross = layers.Embedding(50, 1)(layers.HashedCrossing(50)((user, keras.ops.cast(item, "int64"))))
    score = layers.Dot(1)([u, v]) + layers.Flatten()(cross)
    net = keras.Model([user, item], {"score": score, "p": keras.ops.sigmoid(score)})
    return export_keras(net, folder, user=lambda n: choice([f"u{i}" for i in range(25)] + [""], 1)(n).astype(object),
                        item=lambda n: integers(40, 1, dtype=np.int64)(n) + 95)


class Retrieval(tf.Module):
    """Brute-force retrieval with identifiers, and a streaming top k; tables are members."""

    def __init__(self, folder):
        path = write_lines(folder, "items.txt", [f"item {i}" for i in range(30)])
        start = tf.lookup.TextFileInitializer(path, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE)
        self.names = tf.lookup.StaticHashTable(start, "none")
        keys = tf.lookup.TextFileInitializer(path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
        self.ids = tf.lookup.StaticVocabularyTable(keys, 5)
        self.queries = tf.Variable(np.random.default_rng(1).standard_normal((35, 4)).astype(np.float32))
        self.items = tf.Variable(np.random.default_rng(2).standard_normal((30, 4)).astype(np.float32))

    @function(spec([None], tf.string, "seen"), spec([], tf.int32, "k"))
    def serve(self, seen, k):
        query = tf.nn.embedding_lookup(self.queries, self.ids.lookup(seen))
        scores, index = tf.math.top_k(tf.linalg.matmul(query, self.items, transpose_b=True), k)
        return {"scores": scores, "names": self.names.lookup(tf.cast(index, tf.int64))}

    @function(spec([None], tf.string, "seen"))
    def streaming(self, seen):
        query = tf.nn.embedding_lookup(self.queries, self.ids.lookup(seen))
        best, index = tf.fill([tf.shape(query)[0], 4], -1e9), tf.zeros([tf.shape(query)[0], 4], tf.int32)
        for start in tf.range(0, 30, 10):
            scores = tf.matmul(query, self.items[start:start + 10], transpose_b=True)
            both = tf.concat([best, scores], 1)
            where = tf.concat([index, tf.tile(tf.range(start, start + 10)[None], [tf.shape(query)[0], 1])], 1)
            best, at = tf.math.top_k(both, 4)
            index = tf.gather(where, at, batch_dims=1)
        return {"best": best, "index": index}


@model
def recommender_retrieval(folder):
    net = Retrieval(folder)
    seen = {"seen": lambda n: np.array([f"item {i * 7}" for i in range(n)], object)}
    return export_module(net, folder, serving_default=(net.serve, {**seen, "k": lambda n: np.array(3, np.int32)}), streaming=(net.streaming, seen))


class Sparse(tf.Module):
    def __init__(self):
        self.w = tf.Variable(np.random.default_rng(3).standard_normal((20, 3)).astype(np.float32))

    @function(spec([None], tf.string, "examples"))
    def parsed(self, examples):
        features = {"id": tf.io.FixedLenFeature([], tf.int64, -1), "x": tf.io.FixedLenFeature([2], tf.float32), "tags": tf.io.VarLenFeature(tf.string),
                    "ids": tf.io.RaggedFeature(tf.int64), "w": tf.io.SparseFeature("wi", "wv", tf.float32, 20),
                    "seq": tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True)}
        p = tf.io.parse_example(examples, features)
        ids = tf.strings.to_hash_bucket_fast(p["tags"].values, 20)
        bag = tf.nn.embedding_lookup_sparse(self.w, tf.SparseTensor(p["tags"].indices, ids, p["tags"].dense_shape), None, combiner="sqrtn")
        safe = tf.nn.safe_embedding_lookup_sparse(self.w, p["ids"].to_sparse(), default_id=1)
        wide = tf.sparse.sparse_dense_matmul(p["w"], self.w)
        return {"bag": bag, "safe": safe, "wide": wide, "id": p["id"], "x": p["x"], "seq": p["seq"],
                "ids": tf.reduce_sum(p["ids"], 1), "reduced": tf.sparse.reduce_sum(p["w"], 1)}

    @function(tf.RaggedTensorSpec([None, None], tf.int64, 1))
    def ragged(self, ids):
        e = tf.ragged.map_flat_values(tf.gather, self.w, ids)
        return {"sum": tf.reduce_sum(e, 1), "max": tf.reduce_max(e, 1), "dense": ids.to_tensor(shape=[None, 6]), "rows": ids.bounding_shape(),
                "bool": tf.ragged.boolean_mask(ids, ids > 4).to_tensor(-1), "cat": tf.concat([ids, ids + 1], 1).flat_values,
                "reverse": tf.reverse(ids, [1]).flat_values, "slice": ids[:, :2].to_tensor(), "range": tf.ragged.range(ids.row_lengths()).flat_values}

    @function(tf.SparseTensorSpec([None, 20], tf.float32))
    def sparse(self, x):
        y = tf.sparse.sparse_dense_matmul(tf.sparse.reorder(x), self.w)
        return {"y": y, "dense": tf.sparse.to_dense(x), "t": tf.sparse.to_dense(tf.sparse.transpose(x)),
                "s": tf.sparse.to_dense(tf.sparse.softmax(x)), "max": tf.sparse.to_dense(tf.sparse.maximum(x, x * 2.0)),
                "cut": tf.sparse.to_dense(tf.sparse.slice(x, [0, 3], [1, 9])), "filled": tf.sparse.fill_empty_rows(x, 1.5)[0].values}


def examples(n):
    def one(i):
        def ints(*v):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=v))

        def floats(*v):
            return tf.train.Feature(float_list=tf.train.FloatList(value=v))
        feature = {"x": floats(i, -i), "ids": ints(*range(i % 4)), "wi": ints(*range(0, 2 * (i % 5), 2)), "wv": floats(*np.linspace(0, 1, i % 5)),
                   "tags": tf.train.Feature(bytes_list=tf.train.BytesList(value=[w.encode() for w in WORDS[i:i + i % 3]])), "seq": floats(*range(i % 3))}
        if i % 2:
            feature["id"] = ints(i)
        feature["z"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"no NUL at the end, which .npy files would cut"]))
        return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)
    return np.array([one(i) for i in range(n)], object)


@model
def sparse_and_ragged(folder):
    net = Sparse()
    tf.saved_model.save(net, folder, {"serving_default": net.parsed, "ragged": net.ragged, "sparse": net.sparse})
    return {"serving_default": {"examples": examples},
            "ragged": {"ids": lambda n: (np.arange(2 * n) % 20).astype(np.int64),
                       "ids_1": lambda n: np.concatenate([[0], np.sort(rng(n).integers(0, 2 * n + 1, n - 1)), [2 * n]]).astype(np.int64)},
            "sparse": {"x": lambda n: np.array([[i, (5 * i + 2) % 20] for i in range(n)], np.int64), "x_1": lambda n: normal()(n),
                       "x_2": lambda n: np.array([n + 1, 20], np.int64)}}


@model
def trees_decision_forest_in_ops(folder):
    """A gradient boosted forest as gathers, as converters emit it."""
    draw = np.random.default_rng(5)
    feature, threshold, leaf = draw.integers(0, 6, (4, 7)), draw.standard_normal((4, 7)).astype(np.float32), draw.standard_normal((4, 8)).astype(np.float32)

    class Net(tf.Module):
        @function(spec([None, 6], tf.float32, "x"))
        def serve(self, x):
            node = tf.zeros([tf.shape(x)[0], 4], tf.int32)
            for _ in tf.range(3):
                tree = tf.range(4)[None] * 7 + node
                chosen = tf.gather(x, tf.gather(tf.reshape(tf.constant(feature, tf.int32), [-1]), tree), batch_dims=1, axis=1)
                node = 2 * node + 1 + tf.cast(chosen > tf.gather(tf.reshape(threshold, [-1]), tree), tf.int32)
            values = tf.gather(tf.reshape(leaf, [-1]), tf.range(4)[None] * 8 + node - 7)
            return {"score": tf.reduce_sum(values, -1), "leaf": node, "bucket": tf.searchsorted(tf.sort(threshold[0]), x[:, 0])}
    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"x": normal(6)}))


@model
def mutable_table_counts(folder):
    class Net(tf.Module):
        def __init__(self):
            self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 0)
            self.dense = tf.lookup.experimental.DenseHashTable(tf.int64, tf.float32, -1.0, empty_key=-1, deleted_key=-2)
            self.table.insert(tf.constant(WORDS[:4]), tf.range(4, dtype=tf.int64) + 10)
            self.dense.insert(tf.range(5, dtype=tf.int64), tf.range(5, dtype=tf.float32) * 0.5)

        @function(spec([None], tf.string, "words"))
        def serve(self, words):
            unique, index, count = tf.unique_with_counts(words)
            self.table.insert(unique, self.table.lookup(unique) + tf.cast(count, tf.int64))
            return {"seen": self.table.lookup(words), "dense": self.dense.lookup(tf.cast(index, tf.int64)), "size": self.table.size()}
    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"words": lambda n: choice(WORDS)(n).astype(object)}))
