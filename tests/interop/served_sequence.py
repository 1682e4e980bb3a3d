"""Sequences: transformers with masks and caches, recurrent networks, speech, time series."""
from served import export_keras, export_module, function, integers, keras, model, normal, np, rng, spec, tf

layers = keras.layers


def tokens(n, width=10):
    ids = rng(n).integers(1, 40, (n, width)).astype(np.int32)
    for row in range(n):
        ids[row, width - row % 4:] = 0
    return ids


@model
def bert_encoder(folder):
    ids, kinds = keras.Input((10,), dtype="int32", name="ids"), keras.Input((10,), dtype="int32", name="kinds")
    mask = keras.ops.not_equal(ids, 0)
    x = layers.Embedding(40, 16)(ids) + layers.Embedding(2, 16)(kinds) + layers.Embedding(10, 16)(keras.ops.arange(10))
    x = layers.Dropout(0.1)(layers.LayerNormalization(epsilon=1e-12)(x))
    for _ in range(2):
        attended = layers.MultiHeadAttention(2, 8)(x, x, attention_mask=mask[:, None, :])
        x = layers.LayerNormalization(epsilon=1e-12)(x + attended)
        h = layers.Dense(32, activation=lambda v: keras.activations.gelu(v, approximate=True))(x)
        x = layers.LayerNormalization(epsilon=1e-12)(x + layers.Dense(16)(h))
    pooled = layers.Dense(16, activation="tanh")(x[:, 0])
    return export_keras(keras.Model([ids, kinds], {"pooled": pooled, "sequence": x, "label": layers.Dense(2)(pooled)}), folder, ids=tokens,
                        kinds=integers(2, 10))


@model
def transformer_any_length(folder):
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(40, 12, mask_zero=True)(ids)
    x = layers.MultiHeadAttention(3, 4, value_dim=5, output_shape=12, use_bias=False)(x, x, use_causal_mask=True)
    x = layers.AdditiveAttention()([x, x])
    x = layers.GlobalAveragePooling1D()(x)
    return export_keras(keras.Model(ids, layers.Dense(3)(x)), folder, ids=lambda n: tokens(n, 7 + n))


@model
def grouped_query_attention_float16_mixed(folder):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        x = keras.Input((9, 16), name="x")
        y = layers.GroupQueryAttention(4, 4, 2)(x, x, use_causal_mask=True)
        y = layers.LayerNormalization(rms_scaling=True)(layers.Dense(16, activation="silu")(y))
        net = keras.Model(x, layers.Dense(4, dtype="float32")(y))
        return export_keras(net, folder, x=normal(9, 16))
    finally:
        keras.mixed_precision.set_global_policy("float32")


@model
def mixed_bfloat16_conv(folder):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        x = keras.Input((12, 12, 3), name="x")
        y = layers.BatchNormalization()(layers.Conv2D(8, 3, activation="relu")(x))
        y = layers.Activation("softmax", dtype="float32")(layers.Dense(4)(layers.Flatten()(layers.MaxPooling2D()(y))))
        return export_keras(keras.Model(x, y), folder, x=normal(12, 12, 3))
    finally:
        keras.mixed_precision.set_global_policy("float32")


def rotary(x, position):
    half = x.shape[-1] // 2
    frequency = tf.pow(10000.0, -tf.range(half, dtype=tf.float32) / half)
    angle = tf.cast(position, tf.float32)[..., None, None] * frequency
    a, b = tf.split(x, 2, -1)
    return tf.concat([a * tf.cos(angle) - b * tf.sin(angle), a * tf.sin(angle) + b * tf.cos(angle)], -1)


class Gpt(tf.Module):
    """One block with rotary positions; generate keeps keys and values in a cache that scatter updates."""

    def __init__(self):
        def weights(*shape):
            return tf.Variable(np.random.default_rng(len(shape) + shape[-1]).standard_normal(shape).astype(np.float32) * 0.2)
        self.embedding, self.qkv, self.out = weights(40, 16), weights(16, 3, 4, 4), weights(4, 4, 16)
        self.up, self.gate, self.down, self.gain = weights(16, 32), weights(16, 32), weights(32, 16), tf.Variable(tf.ones(16))

    def norm(self, x):
        return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), -1, keepdims=True) + 1e-6) * self.gain

    def block(self, x, position, cache_k, cache_v, at):
        q, k, v = tf.unstack(tf.einsum("btd,dcnh->cbtnh", self.norm(x), self.qkv), axis=0)
        q, k = rotary(q, position), rotary(k, position)
        steps = tf.range(tf.shape(x)[1]) + at
        cache_k = tf.tensor_scatter_nd_update(tf.transpose(cache_k, [1, 0, 2, 3]), steps[:, None], tf.transpose(k, [1, 0, 2, 3]))
        cache_v = tf.tensor_scatter_nd_update(tf.transpose(cache_v, [1, 0, 2, 3]), steps[:, None], tf.transpose(v, [1, 0, 2, 3]))
        cache_k, cache_v = tf.transpose(cache_k, [1, 0, 2, 3]), tf.transpose(cache_v, [1, 0, 2, 3])
        scores = tf.einsum("btnh,bsnh->bnts", q, cache_k) / 2.0
        seen = tf.range(tf.shape(cache_k)[1])[None] <= steps[:, None]
        scores = tf.where(seen[None, None], scores, -1e9)
        x += tf.einsum("bnts,bsnh,nhd->btd", tf.nn.softmax(scores), cache_v, self.out)
        h = self.norm(x)
        return x + tf.matmul(tf.nn.silu(h @ self.gate) * (h @ self.up), self.down), cache_k, cache_v

    @function(spec([None, None], tf.int32, "prompt"), spec([], tf.int32, "steps"))
    def generate(self, prompt, steps):
        b, t = tf.shape(prompt)[0], tf.shape(prompt)[1]
        size = t + steps
        k, v = tf.zeros([b, size, 4, 4]), tf.zeros([b, size, 4, 4])
        x, k, v = self.block(tf.gather(self.embedding, prompt), tf.range(t)[None], k, v, 0)
        logits = tf.matmul(x[:, -1], self.embedding, transpose_b=True)
        written = tf.TensorArray(tf.int32, size=steps, element_shape=[None])
        for i in tf.range(steps):
            token = tf.argmax(logits, -1, tf.int32)
            written = written.write(i, token)
            x, k, v = self.block(tf.gather(self.embedding, token)[:, None], tf.fill([1, 1], t + i), k, v, t + i)
            logits = tf.matmul(x[:, 0], self.embedding, transpose_b=True)
        return {"tokens": tf.transpose(written.stack()), "logits": logits}

    @function(spec([None, 4], tf.int32, "prompt"))
    def beam(self, prompt):
        """Beam search of width 3 with a stateful condition."""
        b = tf.shape(prompt)[0]
        beams = tf.repeat(prompt[:, None], 3, 1)
        scores = tf.tile([[0.0, -1e9, -1e9]], [b, 1])
        step, done = tf.constant(0), tf.constant(False)
        while step < 5 and not done:
            tf.autograph.experimental.set_loop_options(shape_invariants=[(beams, tf.TensorShape([None, 3, None]))])
            x = tf.gather(self.embedding, tf.reshape(beams, [b * 3, -1]))
            empty = tf.zeros([b * 3, tf.shape(x)[1], 4, 4])
            y, _, _ = self.block(x, tf.range(tf.shape(x)[1])[None], empty, empty, 0)
            p = tf.nn.log_softmax(tf.matmul(y[:, -1], self.embedding, transpose_b=True))
            total = tf.reshape(scores[:, :, None] + tf.reshape(p, [b, 3, 40]), [b, 120])
            scores, index = tf.math.top_k(total, 3)
            beams = tf.concat([tf.gather(beams, index // 40, batch_dims=1), (index % 40)[:, :, None]], -1)
            done = tf.reduce_all(scores[:, 0] < -50.0)
            step += 1
        return {"beams": beams, "scores": scores}

    @function(spec([None, 4], tf.int32, "prompt"), spec([2], tf.int32, "seed"))
    def sample(self, prompt, seed):
        b = tf.shape(prompt)[0]
        empty = tf.zeros([b, 4, 4, 4])
        x, _, _ = self.block(tf.gather(self.embedding, prompt), tf.range(4)[None], empty, empty, 0)
        logits = tf.matmul(x[:, -1], self.embedding, transpose_b=True) / 0.8
        ordered = tf.sort(logits, direction="DESCENDING")
        kept = tf.cumsum(tf.nn.softmax(ordered), exclusive=True, axis=-1) < 0.9
        floor = tf.reduce_min(tf.where(kept, ordered, float("inf")), -1, keepdims=True)
        logits = tf.where(logits < floor, -1e9, logits)
        return {"token": tf.random.stateless_categorical(logits, 4, seed)}


@model
def gpt_cache(folder):
    net = Gpt()
    prompt = integers(40, 4)
    return export_module(net, folder,
                         serving_default=(net.generate, {"prompt": integers(40, 5), "steps": lambda n: np.array(4 + n, np.int32)}),
                         beam=(net.beam, {"prompt": prompt}), sample=(net.sample, {"prompt": prompt, "seed": lambda n: np.array([n, 3], np.int32)}))


@model
def lstm_bidirectional_masked(folder):
    x = keras.Input((None, 5), name="x")
    y = layers.Masking()(x)
    y = layers.Bidirectional(layers.LSTM(6, return_sequences=True), merge_mode="sum")(y)
    y = layers.Bidirectional(layers.GRU(4, return_sequences=True, reset_after=False), merge_mode="mul")(y)
    y = layers.TimeDistributed(layers.Dense(3, activation="softmax"))(y)
    last = layers.Bidirectional(layers.LSTM(3, recurrent_activation="hard_sigmoid", unroll=False))(y)

    def rows(n):
        value = normal(9, 5)(n)
        for row in range(n):
            value[row, 9 - row % 5:] = 0
        return value
    return export_keras(keras.Model(x, {"tags": y, "last": last}), folder, x=rows)


@model
def lstm_stateful(folder):
    x = keras.Input(batch_shape=(3, 4, 2), name="x")
    y, h, c = layers.LSTM(5, stateful=True, return_state=True)(x)
    y2 = layers.GRU(4, stateful=True)(x)
    three = lambda n: normal(4, 2)(3) * n
    return export_keras(keras.Model(x, {"y": y, "h": h, "c": c, "g": y2}), folder, x=three)


@model
def rnn_cells_stacked(folder):
    x = keras.Input((6, 4), name="x")
    cells = [layers.LSTMCell(5), layers.GRUCell(4), layers.SimpleRNNCell(3, activation="relu")]
    y, *states = layers.RNN(cells, return_sequences=True, return_state=True)(x)
    flat = keras.tree.flatten(states)
    y = layers.SimpleRNN(4, go_backwards=True)(y)
    return export_keras(keras.Model(x, [y, *flat]), folder, x=normal(6, 4))


@model
def seq2seq_attention(folder):
    source, target = keras.Input((None,), dtype="int32", name="source"), keras.Input((None,), dtype="int32", name="target")
    e = layers.Embedding(40, 8, mask_zero=True)
    whole, h, c = layers.LSTM(8, return_sequences=True, return_state=True)(e(source))
    decoded = layers.LSTM(8, return_sequences=True)(e(target), initial_state=[h, c])
    context, weights = layers.Attention()([decoded, whole], return_attention_scores=True)
    y = layers.Dense(40)(layers.Concatenate()([decoded, context]))
    return export_keras(keras.Model([source, target], {"y": y, "w": weights}), folder, source=tokens, target=lambda n: tokens(n, 6))


@model
def conv_lstm(folder):
    x = keras.Input((4, 10, 10, 2), name="x")
    y = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True)(x)
    y = layers.ConvLSTM2D(2, 3, strides=2, dropout=0.1, recurrent_dropout=0.1)(layers.BatchNormalization()(y))
    z = layers.ConvLSTM1D(3, 2)(layers.Lambda(lambda v: v[:, :, 0])(x))
    return export_keras(keras.Model(x, [y, z]), folder, x=normal(4, 10, 10, 2))


@model
def time_series_tcn(folder):
    x = keras.Input((24, 3), name="x")
    y = x
    for rate in (1, 2, 4):
        h = layers.SpatialDropout1D(0.1)(layers.Conv1D(3, 2, dilation_rate=rate, padding="causal", activation="relu")(y))
        y = layers.Add()([y, h])
    y = layers.Conv1DTranspose(4, 3, strides=2)(layers.AveragePooling1D(3, 2, "same")(y))
    y = layers.SeparableConv1D(4, 3, dilation_rate=2)(layers.ZeroPadding1D(2)(layers.Cropping1D(1)(layers.UpSampling1D(2)(y))))
    y = layers.DepthwiseConv1D(3, strides=2)(layers.RepeatVector(4)(layers.GlobalMaxPooling1D()(y)))
    return export_keras(keras.Model(x, layers.Permute((2, 1))(y)), folder, x=normal(24, 3))


class Speech(tf.Module):
    def __init__(self):
        self.mel = tf.signal.linear_to_mel_weight_matrix(12, 129, 8000, 80.0, 3800.0)
        self.net = keras.Sequential([keras.Input((None, 12)), layers.Conv1D(8, 3, padding="same", activation="relu"),
                                     layers.Bidirectional(layers.GRU(6, return_sequences=True)), layers.Dense(6)])
        randomise_dense(self.net)

    def features(self, wave):
        spectrum = tf.abs(tf.signal.stft(wave, 256, 80, pad_end=True))
        logmel = tf.math.log(tf.matmul(spectrum, self.mel) + 1e-6)
        return logmel, tf.signal.mfccs_from_log_mel_spectrograms(logmel)[..., :12]

    @function(spec([None, None], tf.float32, "wave"))
    def recognise(self, wave):
        logmel, mfcc = self.features(wave)
        logits = tf.transpose(self.net(mfcc), [1, 0, 2])
        length = tf.fill([tf.shape(wave)[0]], tf.shape(logits)[0])
        (greedy,), score = tf.nn.ctc_greedy_decoder(logits, length)
        beams, p = tf.nn.ctc_beam_search_decoder(logits, length, beam_width=4, top_paths=2)
        return {"mfcc": mfcc, "greedy": tf.sparse.to_dense(greedy, -1), "score": score, "beam": tf.sparse.to_dense(beams[0], -1),
                "second": tf.sparse.to_dense(beams[1], -1), "p": p}

    @function(spec([None], tf.string, "wav"))
    def from_file(self, wav):
        def one(data):
            audio, rate = tf.audio.decode_wav(data, 1, 800)
            return audio[:, 0] * tf.cast(rate, tf.float32) / 8000.0
        wave = tf.map_fn(one, wav, fn_output_signature=tf.float32)
        logmel, _ = self.features(wave)
        back = tf.signal.inverse_stft(tf.signal.stft(wave, 64, 32), 64, 32, window_fn=tf.signal.inverse_stft_window_fn(32))
        return {"logmel": logmel, "back": back, "frames": tf.signal.frame(wave, 100, 50), "dct": tf.signal.dct(wave[:, :16], norm="ortho"),
                "fft": tf.abs(tf.signal.rfft(wave, [256])), "mdct": tf.signal.mdct(wave, 64)}


def randomise_dense(net):
    for i, w in enumerate(net.weights):
        w.assign(np.random.default_rng(i).standard_normal(w.shape).astype(np.float32) * 0.5)


def wave(n, length=2400):
    t = np.arange(length) / 8000.0
    return np.stack([np.sin(2 * np.pi * (300 + 90 * i) * t) * np.exp(-t * 3) + 0.01 * rng(i).standard_normal(length) for i in range(n)]).astype(np.float32)


@model
def speech_ctc(folder):
    net = Speech()
    return export_module(net, folder, serving_default=(net.recognise, {"wave": wave}), from_file=(net.from_file, {
        "wav": lambda n: np.array([tf.audio.encode_wav(w[:, None], 8000).numpy() for w in wave(n, 800)], object)}))


@model
def keyword_spectrogram_ops(folder):
    class Net(tf.Module):
        @function(spec([800, None], tf.float32, "audio"))
        def serve(self, audio):
            spectrogram = tf.raw_ops.AudioSpectrogram(input=audio, window_size=128, stride=64, magnitude_squared=True)
            return {"mfcc": tf.raw_ops.Mfcc(spectrogram=spectrogram, sample_rate=8000), "spectrogram": spectrogram}
    net = Net()
    return export_module(net, folder, serving_default=(net.serve, {"audio": lambda n: np.ascontiguousarray(wave(n, 800).T)}))


@model
def keras_stft_melspectrogram(folder):
    x = keras.Input((2000,), name="x")
    y = layers.MelSpectrogram(fft_length=256, sequence_stride=100, num_mel_bins=16, sampling_rate=8000, window=None)(x)
    real, imaginary = keras.ops.stft(x, 128, 64, 128, window=None)
    back = keras.ops.istft((real, imaginary), 128, 64, 128, window=None)
    return export_keras(keras.Model(x, [y, real, imaginary, back]), folder, x=lambda n: wave(n, 2000))
