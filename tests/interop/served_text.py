"""Text models that take raw strings."""
from served import WORDS, export_keras, export_module, function, keras, model, np, sentences, spec, tf, write_lines

layers = keras.layers


def classifier(folder, vectorizer, body, adapt=True):
    if adapt:
        vectorizer.adapt(sentences(64).astype(str))
    text = keras.Input((), dtype="string", name="text")
    y = layers.Dense(3, activation="softmax")(body(vectorizer(text)))
    return export_keras(keras.Model(text, y), folder, text=sentences)


@model
def text_int_embedding(folder):
    embed = layers.Embedding(60, 8, mask_zero=True)
    return classifier(folder, layers.TextVectorization(60, output_sequence_length=9), lambda x: layers.LSTM(6)(embed(x)))


@model
def text_int_pad_to_longest(folder):
    return classifier(folder, layers.TextVectorization(60), lambda x: layers.GlobalAveragePooling1D()(layers.Embedding(60, 8)(x)))


@model
def text_multi_hot_bigrams(folder):
    return classifier(folder, layers.TextVectorization(80, output_mode="multi_hot", ngrams=2), layers.Dense(5, activation="relu"))


@model
def text_count_trigrams(folder):
    return classifier(folder, layers.TextVectorization(90, output_mode="count", ngrams=(1, 3)), layers.Dense(5, activation="tanh"))


@model
def text_tf_idf(folder):
    return classifier(folder, layers.TextVectorization(70, output_mode="tf_idf", pad_to_max_tokens=True), layers.Dense(4))


@model
def text_characters(folder):
    v = layers.TextVectorization(standardize="lower", split="character", output_sequence_length=20)
    return classifier(folder, v, lambda x: layers.GlobalMaxPooling1D()(layers.Conv1D(6, 3)(layers.Embedding(100, 5)(x))))


@model
def text_ragged(folder):
    v = layers.TextVectorization(60, ragged=True)
    v.adapt(sentences(64).astype(str))
    table = tf.Variable(np.linspace(-1, 1, 60 * 4).reshape(60, 4).astype(np.float32))

    class Net(tf.Module):
        def __init__(self):
            self.v, self.table = v, table

        @function(spec([None], tf.string, "text"))
        def serve(self, text):
            ids = self.v(text)
            mean = tf.reduce_mean(tf.nn.embedding_lookup(self.table, ids), axis=1)
            return {"mean": mean, "lengths": ids.row_lengths(), "values": ids.flat_values}

    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"text": sentences}))


@model
def text_custom_standardize(folder):
    @keras.saving.register_keras_serializable()
    def clean(text):
        text = tf.strings.lower(text)
        text = tf.strings.regex_replace(text, r"<br\s*/?>", " ")
        return tf.strings.regex_replace(text, r"[^a-z ]|\b(the|a)\b", "")

    v = layers.TextVectorization(40, standardize=clean, output_sequence_length=6)
    return classifier(folder, v, lambda x: layers.Flatten()(layers.Embedding(40, 3)(x)))


@model
def text_vocabulary_file(folder):
    path = write_lines(folder, "words.txt", sorted(set(WORDS)))

    class Net(tf.Module):
        def __init__(self):
            start = tf.lookup.TextFileInitializer(path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
                                                  tf.lookup.TextFileIndex.LINE_NUMBER)
            self.table = tf.lookup.StaticVocabularyTable(start, 4)
            back = tf.lookup.TextFileInitializer(path, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.string,
                                                 tf.lookup.TextFileIndex.WHOLE_LINE)
            self.back = tf.lookup.StaticHashTable(back, "[UNK]")

        @function(spec([None], tf.string, "text"))
        def serve(self, text):
            words = tf.strings.split(tf.strings.lower(text))
            ids = tf.ragged.map_flat_values(self.table.lookup, words)
            dense = ids.to_tensor(-1)
            return {"ids": dense, "words": self.back.lookup(dense), "joined": tf.strings.reduce_join(words, -1, separator="|"),
                    "size": self.table.size()}

    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"text": sentences}))


@model
def text_unicode_ngrams(folder):
    def rows(n):
        return np.array([s.encode() for s in ["héllo wörld", "日本語 テキスト", "", "ẞtraße ÅNGSTRÖM", "a b c d", "👩‍🚀 go", "x", "Ωmega"][:n]], object)

    class Net(tf.Module):
        @function(spec([None], tf.string, "text"))
        def serve(self, text):
            lower = tf.strings.lower(text, encoding="utf-8")
            codes = tf.strings.unicode_decode(lower, "UTF-8")
            characters = tf.strings.unicode_split(lower, "UTF-8")
            trigrams = tf.strings.ngrams(characters, 3, separator="")
            buckets = tf.strings.to_hash_bucket_fast(trigrams, 50)
            sparse = tf.sparse.bincount(buckets.to_sparse(), minlength=50, maxlength=50, binary_output=False, axis=-1)
            return {"codes": codes.to_tensor(), "trigrams": trigrams.to_tensor("?"), "buckets": tf.sparse.to_dense(sparse),
                    "length": tf.strings.length(text, "UTF8_CHAR"), "upper": tf.strings.upper(text, encoding="utf-8"),
                    "bytes": tf.strings.bytes_split(text).to_tensor()}

    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"text": rows}))


@model
def text_string_lookup_classes(folder):
    lookup = layers.StringLookup(vocabulary=WORDS[:8], num_oov_indices=2)
    back = layers.StringLookup(vocabulary=["sport", "news", "art"], num_oov_indices=0, invert=True)
    words = keras.Input((5,), dtype="string", name="words")
    x = layers.Flatten()(layers.Embedding(10, 4)(lookup(words)))
    scores = layers.Dense(3)(x)
    labels = back(keras.ops.argmax(scores, -1))
    net = keras.Model(words, {"scores": scores, "label": labels})
    return export_keras(net, folder, words=lambda n: np.random.default_rng(n).choice(np.array(WORDS, object), (n, 5)))


@model
def text_json_like_parse(folder):
    def lines(n):
        return np.array([f"{i},{i * 1.5},name {i},{'' if i % 2 else i}".encode() for i in range(n)], object)

    class Net(tf.Module):
        @function(spec([None], tf.string, "lines"))
        def serve(self, lines):
            a, b, c, d = tf.io.decode_csv(lines, [tf.constant([0], tf.int64), [0.0], [""], [-1]])
            number = tf.strings.to_number(tf.strings.as_string(b, precision=2))
            return {"a": a, "b": number, "c": tf.strings.join([c, tf.strings.as_string(a)], "-"), "d": d,
                    "match": tf.strings.regex_full_match(c, "name [0-4]"), "format": tf.strings.format("{} and {}", (a, b))}

    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"lines": lines}))


@model
def text_wordpiece_loop(folder):
    """Greedy wordpiece by a loop over lengths, as people write it without tensorflow_text."""
    pieces = ["[UNK]", "qu", "ick", "fox", "jump", "##s", "lazy", "do", "##g", "wiz", "##ards", "box", "the", "##e", "##x"]

    class Net(tf.Module):
        def __init__(self):
            self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(pieces, tf.range(len(pieces), dtype=tf.int64)), -1)

        @function(spec([None], tf.string, "text"))
        def serve(self, text):
            words = tf.strings.split(tf.strings.regex_replace(tf.strings.lower(text), "[^a-z ]", "")).values
            found = tf.TensorArray(tf.int64, 0, dynamic_size=True, clear_after_read=False)
            start, rest = tf.constant(True), words
            for _ in tf.range(4):
                best = tf.fill(tf.shape(rest), tf.constant(-1, tf.int64))
                length = tf.zeros(tf.shape(rest), tf.int32)
                for size in tf.range(1, 6):
                    lengths = tf.minimum(size, tf.strings.length(rest))
                    piece = tf.strings.substr(rest, tf.zeros_like(lengths), lengths)
                    prefix = tf.cond(start, lambda: "", lambda: "##")
                    at = self.table.lookup(prefix + piece)
                    length = tf.where(at >= 0, tf.strings.length(piece), length)
                    best = tf.where(at >= 0, at, best)
                rest = tf.strings.substr(rest, length, tf.strings.length(rest) - length)
                start = tf.constant(False)
                found = found.write(found.size(), best)
            return {"pieces": tf.transpose(found.stack()), "rest": rest}

    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"text": sentences}))
