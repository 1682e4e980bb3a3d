#!/usr/bin/env python3
"""Makes tenon/keras/testdata/layer_cases.{json,npz} with real Keras: every layer's forward pass, gradients and config.

    python tests/keras/make_layer_cases.py tenon/keras/testdata

A case is a functional model with weights, inputs, its outputs, and the gradients of sum(outputs * dy) with respect to
the trainable weights and the floating inputs. Made with keras 3.15.1 and tensorflow-cpu 2.21.0.
"""
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L
from keras import ops
from keras.src.saving import serialization_lib

RNG = np.random.default_rng(5)
SEQ = (5, 3)


def chain(shape, *made, dtype="float32"):
    x = y = L.Input(shape, dtype=dtype, name="x")
    for layer in made:
        y = layer(y)
    return keras.Model(x, y)


def with_mask(*made):
    return chain((6,), L.Embedding(5, 3, mask_zero=True), *made, dtype="int32")


def pair(join, *shapes):
    x = [L.Input(shape, name=f"x{i}") for i, shape in enumerate(shapes)]
    return keras.Model(x, join(*x))


def states(make, count):
    def build():
        x = L.Input(SEQ, name="x")
        initial = [L.Input((4,), name=f"s{i}") for i in range(count)]
        y = make(units=4, return_state=True, return_sequences=True)(x, initial_state=initial if count > 1 else initial[0])
        return keras.Model([x, *initial], list(y))
    return build


def attention(masked=False, layer=None, key=False, **call):
    def build():
        if masked:
            q, v = L.Input((4,), dtype="int32", name="q"), L.Input((5,), dtype="int32", name="v")
            eq, ev = L.Embedding(4, 6, mask_zero=True)(q), L.Embedding(4, 6, mask_zero=True)(v)
        else:
            q, v = L.Input((4, 6), name="q"), L.Input((5, 6), name="v")
            eq, ev = q, v
        inputs, args = [q, v], [eq, ev]
        if key:
            inputs.append(L.Input((5, 6), name="k"))
            args.append(inputs[-1])
        made = layer()
        y = made(*args, **call) if "Multi" in type(made).__name__ or "Group" in type(made).__name__ else made(args, **call)
        return keras.Model(inputs, y)
    return build


def given_attention_mask():
    q, mask = L.Input((4, 6), name="q"), L.Input((4, 4), dtype="bool", name="mask")
    return keras.Model([q, mask], L.MultiHeadAttention(2, 3)(q, q, attention_mask=mask))


def nested():
    inner = keras.Sequential([L.Input((4,)), L.Dense(3, activation="tanh"), L.BatchNormalization()], name="inner")
    a, b = L.Input((4,), name="a"), L.Input((4,), name="b")
    mid = L.Input((3,))
    two = keras.Model(mid, [L.Dense(2, name="d1")(mid), L.Dense(5, name="d2")(mid)], name="two")
    left, right = two(inner(a))
    return keras.Model([a, b], [L.Dense(1, name="left")(left), L.Concatenate()([right, inner(b)])])


def nested_masked():
    tokens = L.Input((6,), dtype="int32")
    x = L.Embedding(5, 3, mask_zero=True)(tokens)
    encoder = keras.Model(tokens, L.LSTM(4, return_sequences=True)(x), name="encoder")
    again = L.Input((6,), dtype="int32", name="tokens")
    return keras.Model(again, L.GRU(3)(encoder(again)))


def shared():
    dense = L.Dense(3, activation="tanh", name="both")
    a, b = L.Input((3,), name="a"), L.Input((3,), name="b")
    inner = keras.Model(a, dense(a), name="inner")
    c = L.Input((3,), name="c")
    return keras.Model([b, c], [dense(dense(b)), inner(c)])


def by_name():
    inputs = {"second": L.Input((3,), name="s"), "first": L.Input((2,), name="f")}
    return keras.Model(inputs, {"z": L.Dense(2)(inputs["first"]), "a": L.Dense(3)(inputs["second"])})


def operations():
    x, n = L.Input((4, 3), name="x"), L.Input((4,), dtype="int32", name="n")
    y = (1.0 - x) * 2 + x / 3 - ops.relu(-x)
    y = ops.concatenate([y, ops.expand_dims(ops.cast(n, "float32"), -1)], axis=-1)
    z = ops.transpose(ops.reshape(y, (-1, 2, 8)), (0, 2, 1))
    m = ops.matmul(ops.mean(y, axis=1, keepdims=True), ops.stack([x[..., 0] if False else ops.sum(x, axis=-1)] * 4, axis=1))
    return keras.Model([x, n], [z, m, ops.squeeze(ops.max(x, axis=1, keepdims=True), 1), ops.maximum(x, 0.25) ** 2])


CASES = {
    "lstm": lambda: chain(SEQ, L.LSTM(4)),
    "lstm_all": lambda: chain(SEQ, L.LSTM(4, return_sequences=True, return_state=True, go_backwards=True, use_bias=False,
                                          activation="relu", recurrent_activation="hard_sigmoid")),
    "lstm_states": states(L.LSTM, 2),
    "lstm_masked": lambda: with_mask(L.LSTM(4, return_sequences=True)),
    "lstm_masked_zero": lambda: with_mask(L.LSTM(4, return_sequences=True, zero_output_for_mask=True, unroll=True)),
    "lstm_masked_last": lambda: with_mask(L.LSTM(4, go_backwards=True, return_state=True)),
    "lstm_any_length": lambda: chain((None, 3), L.LSTM(4, return_sequences=True), L.LSTM(3)),
    "gru": lambda: chain(SEQ, L.GRU(4)),
    "gru_before": lambda: chain(SEQ, L.GRU(4, reset_after=False, return_sequences=True, recurrent_dropout=0.0)),
    "gru_no_bias": lambda: chain(SEQ, L.GRU(4, use_bias=False, return_sequences=True)),
    "gru_masked": lambda: with_mask(L.GRU(4, return_state=True)),
    "gru_states": states(L.GRU, 1),
    "simple_rnn": lambda: chain(SEQ, L.SimpleRNN(4, return_sequences=True), L.SimpleRNN(3)),
    "rnn_cell": lambda: chain(SEQ, L.RNN(L.LSTMCell(4), return_sequences=True)),
    "rnn_stacked": lambda: chain(SEQ, L.RNN([L.LSTMCell(4), L.GRUCell(3), L.SimpleRNNCell(2)], return_state=True)),
    "bidirectional": lambda: chain(SEQ, L.Bidirectional(L.LSTM(3, return_sequences=True)), L.Bidirectional(L.GRU(2))),
    "bidirectional_sum": lambda: with_mask(L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode="sum")),
    "bidirectional_mul": lambda: with_mask(L.Bidirectional(L.SimpleRNN(3), merge_mode="mul")),
    "bidirectional_ave": lambda: chain(SEQ, L.Bidirectional(L.LSTM(3), merge_mode="ave")),
    "bidirectional_none": lambda: chain(SEQ, L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode=None)),
    "bidirectional_state": lambda: chain(SEQ, L.Bidirectional(L.LSTM(3, return_state=True))),
    "bidirectional_other": lambda: chain(SEQ, L.Bidirectional(L.LSTM(3), backward_layer=L.GRU(3, go_backwards=True))),
    "time_distributed": lambda: chain((4, 6, 6, 2), L.TimeDistributed(L.Conv2D(3, 3, activation="relu")), L.TimeDistributed(L.Flatten())),
    "time_distributed_any": lambda: chain((None, 3), L.TimeDistributed(L.Dense(2))),
    "time_distributed_masked": lambda: with_mask(L.TimeDistributed(L.Dense(4)), L.LSTM(3)),
    "masking": lambda: chain(SEQ, L.Masking(0.5), L.LSTM(3)),
    "masks_merge": lambda: merged_masks(),
    "einsum_dense": lambda: chain((4, 3), L.EinsumDense("abc,cd->abd", output_shape=(4, 5), bias_axes="d", activation="relu")),
    "einsum_dense_open": lambda: chain((4, 3), L.EinsumDense("...x,xy->...y", output_shape=5, bias_axes="y")),
    "attention_multi_head": attention(layer=lambda: L.MultiHeadAttention(2, 3)),
    "attention_causal": attention(layer=lambda: L.MultiHeadAttention(2, 3, value_dim=4, output_shape=5, use_bias=False), use_causal_mask=True),
    "attention_scores": attention(layer=lambda: L.MultiHeadAttention(2, 3), key=True, return_attention_scores=True, use_causal_mask=True),
    "attention_masked": attention(True, lambda: L.MultiHeadAttention(2, 3)),
    "attention_masked_scores": attention(True, lambda: L.MultiHeadAttention(2, 3, dropout=0.1)),
    "attention_gate": attention(layer=lambda: L.MultiHeadAttention(2, 3, use_gate=True, sliding_window=2)),
    "attention_given_mask": given_attention_mask,
    "attention_grouped": attention(layer=lambda: L.GroupQueryAttention(3, 4, 2)),
    "attention_grouped_causal": attention(layer=lambda: L.GroupQueryAttention(3, 4, 2, use_bias=False), use_causal_mask=True),
    "attention_dot": attention(layer=lambda: L.Attention(use_scale=True)),
    "attention_concat": attention(layer=lambda: L.Attention(score_mode="concat", use_scale=True), key=True, return_attention_scores=True),
    "attention_dot_masked": attention(True, lambda: L.Attention(), use_causal_mask=True),
    "attention_additive": attention(True, lambda: L.AdditiveAttention()),
    "unit_normalization": lambda: chain((4, 3), L.UnitNormalization(axis=1)),
    "rms_normalization": lambda: chain((4, 3), L.RMSNormalization(epsilon=1e-3)),
    "noise": lambda: chain((4, 3), L.GaussianNoise(0.2), L.GaussianDropout(0.3), L.AlphaDropout(0.1), L.SpatialDropout1D(0.2)),
    "prelu": lambda: chain((4, 3), L.PReLU(shared_axes=[1]), L.ELU(0.5), L.Identity(), L.PReLU()),
    "softmax_axis": lambda: chain((4, 3), L.Softmax(axis=1)),
    "nested": nested,
    "nested_masked": nested_masked,
    "shared": shared,
    "by_name": by_name,
    "operations": operations,
    "conv3d": lambda: chain((4, 5, 6, 2), L.Conv3D(3, (2, 3, 2), strides=(1, 2, 1), padding="same", activation="tanh"), L.Conv3D(2, 2, use_bias=False)),
    "pooling3d": lambda: chain((4, 5, 6, 2), L.MaxPooling3D(2, strides=1), L.AveragePooling3D((1, 2, 2), padding="same"), L.GlobalAveragePooling3D()),
    "pooling3d_global": lambda: chain((3, 2, 2, 2), L.GlobalMaxPooling3D(keepdims=True)),
    "resizing3d": lambda: chain((2, 3, 2, 2), L.UpSampling3D((1, 2, 3)), L.ZeroPadding3D(((1, 0), (2, 1), (0, 3))), L.Cropping3D(((1, 0), (0, 2), (1, 1)))),
    "depthwise_conv1d": lambda: chain((7, 3), L.DepthwiseConv1D(3, strides=2, padding="same", depth_multiplier=2, activation="tanh")),
    "depthwise_conv1d_dilated": lambda: chain((7, 3), L.DepthwiseConv1D(2, dilation_rate=2, use_bias=False)),
    "separable_conv1d": lambda: chain((7, 3), L.SeparableConv1D(4, 3, padding="same", depth_multiplier=2), L.SeparableConv1D(2, 2, strides=2, use_bias=False)),
    "dot": lambda: pair(lambda a, b: L.Dot(axes=1)([a, b]), (4,), (4,)),
    "dot_axes": lambda: pair(lambda a, b: L.Dot(axes=(2, 1), normalize=True)([a, b]), (4, 3), (3, 5)),
    "dot_volumes": lambda: pair(lambda a, b: L.Dot(axes=(1, -1))([a, b]), (4, 3, 2), (5, 4)),
    "conv1d_transpose": lambda: chain((5, 3), L.Conv1DTranspose(4, 3, strides=2, padding="same", activation="relu"), L.Conv1DTranspose(2, 2, strides=3)),
    "conv3d_transpose": lambda: chain((2, 3, 2, 3), L.Conv3DTranspose(4, (2, 3, 2), strides=(1, 2, 1)), L.Conv3DTranspose(2, 2, strides=2, padding="same")),
    "center_crop": lambda: chain((7, 6, 2), L.CenterCrop(4, 3)),
    "resizing": lambda: chain((5, 6, 2), L.Resizing(8, 3), L.Resizing(4, 5, interpolation="nearest"), L.Resizing(6, 6, interpolation="bicubic")),
    "category_encoding": lambda: chain((6,), L.CategoryEncoding(5), dtype="int32"),
    "category_one_hot": lambda: chain((6,), L.CategoryEncoding(4, output_mode="one_hot"), dtype="int32"),
    "category_count": lambda: chain((6,), L.CategoryEncoding(4, output_mode="count"), dtype="int32"),
    "relu_threshold": lambda: chain((4, 3), L.ReLU(threshold=0.2), L.ReLU(max_value=0.9, negative_slope=0.3, threshold=0.1)),
    "softmax_axes": lambda: chain((4, 3, 2), L.Softmax(axis=[1, 3])),
    "layer_normalization_axes": lambda: chain((4, 3, 2), L.LayerNormalization(axis=[-1, 1])),
    "conv_transpose_padded": lambda: chain((5, 3), L.Conv1DTranspose(4, 3, strides=3, output_padding=1), L.Conv1DTranspose(2, 3, strides=2, padding="same", output_padding=1)),
    "conv2d_transpose_padded": lambda: chain((4, 3, 2), L.Conv2DTranspose(3, (3, 5), strides=(2, 3), padding="same", output_padding=(0, 2), activation="tanh"), L.Conv2DTranspose(2, 2, strides=2, output_padding=1)),
    "conv3d_transpose_padded": lambda: chain((2, 3, 2, 3), L.Conv3DTranspose(2, 3, strides=2, padding="same", output_padding=(1, 0, 1))),
    "adaptive_pooling1d": lambda: chain((11, 3), L.AdaptiveAveragePooling1D(7), L.AdaptiveMaxPooling1D(4), L.AdaptiveAveragePooling1D(6)),
    "adaptive_pooling2d": lambda: chain((7, 6, 2), L.AdaptiveMaxPooling2D((5, 4)), L.AdaptiveAveragePooling2D((3, 4)), L.AdaptiveAveragePooling2D((2, 3))),
    "adaptive_pooling3d": lambda: chain((5, 4, 3, 2), L.AdaptiveAveragePooling3D((3, 3, 2)), L.AdaptiveMaxPooling3D(2)),
    "center_crop_enlarged": lambda: chain((5, 6, 2), L.CenterCrop(8, 3), L.CenterCrop(9, 10)),
    "conv_lstm1d": lambda: chain((4, 6, 2), L.ConvLSTM1D(3, 3, strides=2, padding="same", return_sequences=True), L.ConvLSTM1D(2, 2, dilation_rate=2, unit_forget_bias=False)),
    "conv_lstm2d": lambda: chain((3, 4, 5, 2), L.ConvLSTM2D(3, (2, 3), return_sequences=True, go_backwards=True, activation="relu"), L.ConvLSTM2D(2, 2, use_bias=False, return_state=True)),
    "conv_lstm2d_any_length": lambda: chain((None, 4, 4, 1), L.ConvLSTM2D(2, 3, padding="same", return_sequences=True, recurrent_activation="hard_sigmoid")),
    "conv_lstm3d": lambda: chain((2, 3, 2, 3, 1), L.ConvLSTM3D(2, 2)),
    "mel_spectrogram": lambda: chain((90,), L.MelSpectrogram(fft_length=16, sequence_stride=5, sequence_length=12, sampling_rate=800, num_mel_bins=6, min_freq=30.0, top_db=20.0)),
    "mel_power": lambda: chain((90,), L.MelSpectrogram(fft_length=16, sequence_stride=8, window="hamming", sampling_rate=800, num_mel_bins=4, max_freq=350, power_to_db=False, mag_exp=1.5)),
    # Windows by name want SciPy; weights are made up here anyway.
    "stft": lambda: chain((40, 2), L.STFTSpectrogram(mode="psd", frame_length=8, frame_step=3, fft_length=10, padding="same", window=None)),
    "stft_log": lambda: chain((30, 2), L.STFTSpectrogram(frame_length=8, expand_dims=True, window=None)),
    "stft_parts": lambda: chain((30, 1), L.STFTSpectrogram(mode="stft", frame_length=6, scaling=None, window=None), L.STFTSpectrogram(mode="imag", frame_length=3, window=None)),
    "stft_angle": lambda: chain((30, 1), L.STFTSpectrogram(mode="angle", frame_length=5, periodic=True, window=None)),
    "where": lambda: pair(lambda a, b: keras.ops.where(a > b, keras.ops.where(b > 0.5, 1.5, a), keras.ops.where(keras.ops.abs(a), x1=b, x2=2)), (4, 3), (4, 3)),
    "resizing_cropped": lambda: chain((5, 8, 2), L.Resizing(6, 4, crop_to_aspect_ratio=True), L.Resizing(3, 9, "lanczos3")),
    "resizing_padded": lambda: chain((5, 8, 2), L.Resizing(6, 4, pad_to_aspect_ratio=True, fill_value=0.5),
                                     L.Resizing(3, 3, antialias=True), L.Resizing(2, 2, "bicubic", antialias=True)),
}


def merged_masks():
    t = L.Input((6,), dtype="int32", name="t")
    x = L.Embedding(5, 3, mask_zero=True)(t)
    y = L.Dense(3, activation="tanh")(x)
    y = L.Concatenate()([L.Add()([x, y]), L.Dropout(0.1)(x)])
    return keras.Model(t, [L.GlobalAveragePooling1D()(y), L.GRU(2)(y)])


def values(tensor, rows=3):
    shape = [rows, *(6 if d is None else d for d in tensor.shape[1:])]
    if tensor.dtype == "bool":
        return RNG.integers(0, 4, shape) > 0
    if tensor.dtype == "int32":
        value = RNG.integers(0, 4, shape)
        value[0, -2:] = 0
        return value.astype("int32")
    value = RNG.standard_normal(shape).astype("float32")
    if len(shape) == 3:
        value[1, -1] = 0.5  # what Masking(0.5) leaves out
    return value


def flat(nested_values):
    return [np.asarray(v) for v in keras.tree.flatten(nested_values)]


def main():
    out = sys.argv[1]
    only = sys.argv[2:]
    configs, arrays = {}, {}
    for name, build in CASES.items():
        if only and name not in only:
            continue
        keras.utils.clear_session()
        keras.utils.set_random_seed(9)
        model = build()
        for variable in model.variables:
            if variable.dtype == "float32":
                noise = RNG.normal(0, 0.4, variable.shape)
                variable.assign(np.abs(noise) + 0.5 if "variance" in variable.path else noise)
        with serialization_lib.ObjectSharingScope():  # as in .keras files: layers in several places have identities
            configs[name] = json.loads(json.dumps(serialization_lib.serialize_keras_object(model)))
        x = [values(tensor) for tensor in model.inputs]

        @tf.function
        def run(xs):
            floating = [v for v in xs if v.dtype.is_floating]
            with tf.GradientTape(persistent=True) as tape:
                for v in floating:
                    tape.watch(v)
                ys = keras.tree.flatten(model(keras.tree.pack_sequence_as(model._inputs_struct, xs), training=False))
                dys = [tf.random.stateless_normal(tf.shape(y), [i, 7]) for i, y in enumerate(ys)]
                total = sum(tf.reduce_sum(tf.cast(y, tf.float32) * dy) for y, dy in zip(ys, dys))
            trained = [v.value for v in model.trainable_variables]
            return ys, dys, tape.gradient(total, trained + floating, unconnected_gradients="zero")

        ys, dy, gradients = run([tf.constant(v) for v in x])
        weights = [v for layer in model.layers for v in layer.weights]
        seen, once = set(), []
        for v in weights:
            if id(v) not in seen and "seed" not in v.path:
                seen.add(id(v))
                once.append(v.numpy())
        for key, list_of in {"w": once, "x": x, "y": ys, "dy": dy, "g": gradients}.items():
            for i, value in enumerate(list_of):
                arrays[f"{name}/{key}{i}"] = np.asarray(tf.convert_to_tensor(value))
    with open(os.path.join(out, "layer_cases.json"), "w") as f:
        json.dump(configs, f, separators=(",", ":"))
    np.savez_compressed(os.path.join(out, "layer_cases.npz"), **arrays)


main()
