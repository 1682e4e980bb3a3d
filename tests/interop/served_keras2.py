"""What Keras 2 saved: model.save(folder), with its call functions, and the layers as it writes them."""
import tf_keras

from served import choice, integers, model, normal, np, sentences, tf
from served_sequence import tokens


def save(net, folder, **inputs):
    draw = np.random.default_rng(7)
    for v in net.weights:
        if getattr(v, "dtype", None) == tf.float32 and np.all(v.numpy() == v.numpy().flat[0]):
            v.assign(draw.uniform(0.5, 1.5, v.shape))
    net.save(folder, save_format="tf")
    return {"serving_default": inputs}


@model
def keras2_mobilenet_block(folder):
    k = tf_keras.layers
    x = tf_keras.Input((20, 20, 3), name="image")
    y = k.ReLU(6.0)(k.BatchNormalization()(k.Conv2D(8, 3, 2, "same", use_bias=False)(x)))
    z = k.ReLU(6.0)(k.BatchNormalization()(k.DepthwiseConv2D(3, 1, "same", use_bias=False)(k.Conv2D(16, 1)(y))))
    y = k.Add()([y, k.BatchNormalization()(k.Conv2D(8, 1, use_bias=False)(z))])
    y = k.GlobalAveragePooling2D()(k.ZeroPadding2D(((0, 1), (0, 1)))(y))
    net = tf_keras.Model(x, k.Dense(5, activation="softmax")(k.Dropout(0.2)(y)))
    net.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return save(net, folder, image=normal(20, 20, 3))


@model
def keras2_rnn(folder):
    k = tf_keras.layers
    x = tf_keras.Input((None,), dtype="int32", name="ids")
    y = k.Embedding(40, 8, mask_zero=True)(x)
    y = k.Bidirectional(k.LSTM(6, return_sequences=True))(y)
    y = k.GRU(5, return_sequences=True)(y)
    y = k.GRU(4, reset_after=False, recurrent_activation="hard_sigmoid")(y)
    return save(tf_keras.Model(x, k.Dense(2)(y)), folder, ids=tokens)


@model
def keras2_stateful_conv_lstm(folder):
    k = tf_keras.layers
    x = tf_keras.Input(batch_shape=(3, 4, 8, 8, 2), name="x")
    y = k.ConvLSTM2D(3, 3, padding="same", return_sequences=True, stateful=True)(x)
    y = k.TimeDistributed(k.Flatten())(k.ConvLSTM2D(2, 2, return_sequences=True)(y))
    y = k.LSTM(4, stateful=True)(y)
    return save(tf_keras.Model(x, y), folder, x=lambda n: normal(4, 8, 8, 2)(3) * n)


@model
def keras2_text(folder):
    k = tf_keras.layers
    v = k.TextVectorization(50, ngrams=2, output_mode="tf_idf")
    v.adapt(sentences(64).astype(str))
    x = tf_keras.Input((1,), dtype="string", name="text")
    net = tf_keras.Model(x, k.Dense(3, activation="softmax")(v(x)))
    return save(net, folder, text=lambda n: sentences(n)[:, None])


@model
def keras2_attention(folder):
    k = tf_keras.layers
    x = tf_keras.Input((9, 12), name="x")
    y = k.MultiHeadAttention(3, 4)(x, x)
    y = k.LayerNormalization()(k.Add()([x, y]))
    y = k.Add()([y, k.Dense(12)(k.Dense(24, activation="gelu")(y))])
    y, scores = k.MultiHeadAttention(2, 5, attention_axes=1)(y, x, return_attention_scores=True)
    y = k.UnitNormalization()(k.GroupNormalization(3)(y))
    return save(tf_keras.Model(x, [k.Dense(2)(k.GlobalMaxPool1D()(y)), scores]), folder, x=normal(9, 12))


@model
def keras2_tabular(folder):
    k = tf_keras.layers
    age, city, ids = tf_keras.Input((1,), name="age"), tf_keras.Input((1,), dtype="string", name="city"), tf_keras.Input((1,), dtype="int64", name="ids")
    a = k.Discretization([0.0, 1.0], output_mode="one_hot")(age)
    b = k.StringLookup(vocabulary=["oslo", "rome", "lima"], output_mode="one_hot")(city)
    c = k.Flatten()(k.Embedding(9, 3)(k.Hashing(9)(ids)))
    d = k.experimental.preprocessing.HashedCrossing(8, output_mode="one_hot")((city, ids)) if hasattr(k.experimental, "preprocessing") else \
        k.HashedCrossing(8, output_mode="one_hot")((city, ids))
    e = k.IntegerLookup(vocabulary=[5, 9], output_mode="count")(ids)
    f = k.Normalization(mean=0.3, variance=2.0)(age)
    net = tf_keras.Model([age, city, ids], k.Dense(2)(k.Concatenate()([a, b, c, d, e, f])))
    return save(net, folder, age=normal(1), city=lambda n: choice(["oslo", "rome", "bonn"], 1)(n).astype(object), ids=integers(12, 1, dtype=np.int64))


@model
def keras2_custom_subclass(folder):
    class Net(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = tf_keras.layers.Dense(6, "swish"), tf_keras.layers.Dense(2)
            self.cell = tf_keras.layers.StackedRNNCells([tf_keras.layers.LSTMCell(4), tf_keras.layers.LSTMCell(3)])
            self.rnn = tf_keras.layers.RNN(self.cell)

        def call(self, x, training=False):
            y = self.two(self.one(self.rnn(x)))
            return {"y": y, "noise": tf_keras.layers.GaussianDropout(0.3)(y, training=training), "p": tf.math.softmax(y)}

    net = Net()
    net(np.zeros((2, 5, 3), np.float32))
    return save(net, folder, input_1=normal(5, 3))
