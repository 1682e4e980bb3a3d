"""One training step from equal weights and batch: Tenon's loss, gradients and updates are Keras'.

The step is `tenon train` on a compiled .keras file with as many rows as a batch. Gradients are read off a step of plain
SGD whose learning rate is a power of two; each optimizer's update is then judged on the gradients that Tenon had.
"""
import json
import os
import tempfile

from common import Checks, run_saved_model, tenon, train

import keras
import numpy as np
from keras import layers, optimizers

RATE = 64.0
OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.05),
    "sgd_momentum": lambda: optimizers.SGD(0.05, momentum=0.9),
    "sgd_nesterov": lambda: optimizers.SGD(0.05, momentum=0.8, nesterov=True),
    "adam": lambda: optimizers.Adam(0.01, beta_1=0.85, epsilon=1e-6),
    "adam_amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda: optimizers.AdamW(0.01, weight_decay=0.02),
    "rmsprop": lambda: optimizers.RMSprop(0.01, rho=0.8),
    "adadelta": lambda: optimizers.Adadelta(0.5, rho=0.9),
    "adamax": lambda: optimizers.Adamax(0.01, beta_1=0.8),
    "ftrl": lambda: optimizers.Ftrl(0.1, l1_regularization_strength=0.01, l2_shrinkage_regularization_strength=0.03, beta=0.1),
    "lamb": lambda: optimizers.Lamb(0.02),
    "nadam": lambda: optimizers.Nadam(0.01, beta_1=0.85),
    "rmsprop_centered": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True),
}


def dense():
    return keras.Sequential([keras.Input((20,)), layers.Dense(16, activation="relu"), layers.Dense(10, activation="softmax")])


def convolution():
    return keras.Sequential([keras.Input((8, 8, 2)), layers.Conv2D(6, 3, padding="same"), layers.BatchNormalization(),
                             layers.Activation("relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(10)])


def sequence():
    return keras.Sequential([keras.Input((12, 3)), layers.ZeroPadding1D(1), layers.Conv1D(6, 3, padding="causal", dilation_rate=2),
                             layers.MaxPooling1D(2), layers.UpSampling1D(2), layers.Conv1D(4, 3, strides=2, padding="same", groups=2),
                             layers.Cropping1D((1, 0)), layers.AveragePooling1D(2, padding="same"), layers.GlobalAveragePooling1D(),
                             layers.RepeatVector(2), layers.GlobalMaxPooling1D(), layers.Dense(10)])


def words():
    return keras.Sequential([keras.Input((7,)), layers.Normalization(mean=[-1.0] * 7, variance=[0.25] * 7), layers.ReLU(6),
                             layers.Embedding(10, 4), layers.GlobalAveragePooling1D(), layers.Dense(10)])


def decoder():
    return keras.Sequential([keras.Input((6, 5, 4)), layers.Normalization(),
                             layers.SeparableConv2D(6, 3, depth_multiplier=2, padding="same", activation="relu"),
                             layers.GroupNormalization(3), layers.Conv2DTranspose(5, 3, strides=2, padding="same"),
                             layers.Conv2DTranspose(4, (2, 3), strides=(1, 2)), layers.UpSampling2D((2, 1)),
                             layers.Cropping2D(((1, 2), (0, 3))), layers.GlobalAveragePooling2D(), layers.Dense(10)])


def recurrent():
    x = keras.Input((7,))
    y = layers.Embedding(10, 4, mask_zero=True)(layers.ReLU(6)(x))
    y, *state = layers.LSTM(5, return_sequences=True, return_state=True)(y)
    y = layers.LSTM(5, return_sequences=True)(y, initial_state=state)
    return keras.Model(x, layers.Dense(10)(layers.Bidirectional(layers.GRU(3))(y)))


def attention():
    x = keras.Input((6, 8))
    y = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True))
    inner = keras.Sequential([keras.Input((6, 8)), layers.TimeDistributed(layers.Dense(6, activation="gelu")), layers.Dense(8)], name="inner")
    y = layers.RMSNormalization()(inner(inner(y)))
    return keras.Model(x, layers.Dense(10)(layers.GlobalAveragePooling1D()(y)))


MODELS = {"dense": (dense, (20,), False), "conv_bn": (convolution, (8, 8, 2), True), "sequence": (sequence, (12, 3), True),
          "words": (words, (7,), True), "decoder": (decoder, (6, 5, 4), True),
          "recurrent": (recurrent, (7,), True), "attention": (attention, (6, 8), True)}
# Those with which every optimizer is tried.
ALL_OPTIMIZERS = ("dense", "conv_bn")


def variables(model):
    return {v.path: v.numpy() for v in model.variables if "seed" not in v.path}


def tenon_step(folder, model, optimizer, from_logits, data, rows):
    """Compiles, saves, lets Tenon train one step; returns its loss and the model it saved."""
    before, after = os.path.join(folder, "before.keras"), os.path.join(folder, "after.keras")
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits))
    model.save(before)
    (epoch,) = train(before, data, epochs=1, batch_size=rows, shuffle="false", save=after)
    return epoch["loss"], keras.saving.load_model(after)


def copy_of(make, values):
    model = make()
    for variable, value in zip((v for v in model.variables if "seed" not in v.path), values.values()):
        variable.assign(value)
    return model


def gradients(before, after):
    """Of a step of SGD at RATE, by position; moving averages are not trained."""
    return [(old - new.numpy()) / RATE for old, new in zip(before, after.trainable_variables)]


def check_model(check, name, folder):
    make, shape, from_logits = MODELS[name]
    rng = np.random.default_rng(11)
    x, y = rng.normal(size=(32, *shape)).astype(np.float32), rng.integers(0, 10, 32)
    data = os.path.join(folder, "batch.npz")
    np.savez(data, x=x, y=y)
    keras.utils.set_random_seed(5)
    start = make()
    values = variables(start)

    model = copy_of(make, values)
    trained_before = [v.numpy() for v in model.trainable_variables]
    loss, after = tenon_step(folder, model, optimizers.SGD(RATE), from_logits, data, 32)
    found = gradients(trained_before, after)

    reference = copy_of(make, values)
    reference.compile(optimizers.SGD(RATE), keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits))
    want_loss = reference.train_on_batch(x, y)
    check.that(abs(loss - want_loss) <= 1e-6 * abs(want_loss), f"{name}: loss", f"{loss}, want {want_loss}")
    wanted = gradients(trained_before, reference)
    # A bias before batch normalisation has gradient zero; what is computed is rounding, in both programs.
    zero = 1e-5 * max(np.max(np.abs(want)) for want in wanted)
    for variable, got, want in zip(reference.trainable_variables, found, wanted):
        what = f"{name}: gradient of {variable.path}"
        if np.max(np.abs(want)) <= zero:
            check.that(np.max(np.abs(got)) <= zero, what, f"{np.max(np.abs(got)):.3g}, want zero")
        else:
            # TensorFlow adds up the gradient of a bias over all positions one after the other: in float32 it is off by 3.6e-5 there.
            check.close(got, want, what, 5e-5 if name == "decoder" and "bias" in variable.path else 1e-5)
    # Means over a batch, added up in another order.
    for variable, got in zip(reference.non_trainable_variables, after.non_trainable_variables):
        if "seed" not in variable.path:
            check.close(got.numpy(), variable.numpy(), f"{name}: {variable.path}", 5e-6)

    for kind, make_optimizer in OPTIMIZERS.items() if name in ALL_OPTIMIZERS else ():
        model = copy_of(make, values)
        _, after = tenon_step(folder, model, make_optimizer(), from_logits, data, 32)
        optimizer, wanted = make_optimizer(), [keras.Variable(value) for value in trained_before]
        optimizer.apply([np.asarray(g, np.float32) for g in found], wanted)
        for variable, old, want in zip(after.trainable_variables, trained_before, wanted):
            check.close(variable.numpy() - old, want.numpy() - old, f"{name}: {kind}'s update of {variable.path}", 1e-6 + rounding(old, want))
        check.that(int(after.optimizer.iterations) == 1, f"{name}: {kind}'s step count", after.optimizer.iterations)


def rounding(old, want):
    """An update is known to half a unit in the last place of the weight it was added to, in both programs."""
    update = np.max(np.abs(want.numpy() - old), initial=1e-30)
    return float(np.max(np.spacing(np.abs(old).astype(np.float32)), initial=0) / update)


def two_outputs():
    a, b = keras.Input((4,), name="a"), keras.Input((5,), name="b")
    shared = layers.Dense(6, activation="tanh")
    x = layers.Concatenate()([shared(a), layers.Dense(3)(b), shared(layers.Dense(4)(b))])
    return keras.Model([a, b], {"number": layers.Dense(1, name="number")(x), "kind": layers.Dense(3, name="kind")(x)})


def check_two_outputs(check, folder):
    """Losses, weights and metrics by name; data by name."""
    rng = np.random.default_rng(4)
    x = {"a": rng.normal(size=(20, 4)).astype(np.float32), "b": rng.normal(size=(20, 5)).astype(np.float32)}
    y = {"number": rng.normal(size=(20, 1)).astype(np.float32), "kind": rng.integers(0, 3, 20)}
    data, before, after = (os.path.join(folder, name) for name in ("two.npz", "two.keras", "after.keras"))
    np.savez(data, **x, **y)
    keras.utils.set_random_seed(6)
    model = two_outputs()
    model.compile(optimizers.SGD(0.5), loss={"number": "mse", "kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
                  loss_weights={"number": 0.5, "kind": 2.0}, metrics={"number": ["mae"], "kind": ["accuracy"]})
    model.save(before)
    (epoch,) = train(before, data, epochs=1, batch_size=20, shuffle="false", save=after, export_dir=os.path.join(folder, "two", "1"))
    want = model.fit(x, y, batch_size=20, epochs=1, shuffle=False, verbose=0).history
    check.that(set(want) == set(epoch) - {"epoch"}, "two outputs: names of losses and metrics", epoch)
    for name, (value,) in want.items():
        check.that(abs(epoch.get(name, np.inf) - value) <= 2e-6 * abs(value), f"two outputs: {name}", f"{epoch.get(name)}, want {value}")
    trained = keras.saving.load_model(after)
    for got, variable in zip(trained.trainable_variables, model.trainable_variables):
        check.close(got.numpy(), variable.numpy(), f"two outputs: {variable.path} after a step", 1e-5)
    judged = json.loads(tenon("evaluate", "--model", after, "--data", data, "--json").splitlines()[-1])
    for name, value in trained.evaluate(x, y, verbose=0, return_dict=True).items():
        check.that(abs(judged[name] - value) <= 2e-6 * abs(value), f"two outputs: evaluate's {name}", f"{judged[name]}, want {value}")
    served = run_saved_model(os.path.join(folder, "two", "1"), **x)
    for name, value in trained.predict(x, verbose=0).items():
        check.close(served[name], value, f"two outputs: {name} of the SavedModel", 1e-5)


def ruled():
    """Regularizers and constraints on weights of all kinds of layers, on outputs, and within children."""
    r, c = keras.regularizers, keras.constraints
    x = keras.Input((6, 6, 2), name="x")
    y = layers.Conv2D(4, 3, kernel_regularizer=r.L2(0.03), bias_regularizer="l1", kernel_constraint=c.MaxNorm(0.8, axis=[0, 1, 2]),
                      activity_regularizer=r.L1(0.01))(x)
    y = layers.BatchNormalization(gamma_regularizer=r.L2(0.1), beta_constraint="non_neg", gamma_constraint=c.MinMaxNorm(1.2, 1.5, 0.5))(y)
    y = layers.DepthwiseConv2D(2, depthwise_regularizer=r.L1L2(0.02, 0.01), depthwise_constraint=c.UnitNorm(axis=[0, 1]))(y)
    y = layers.SeparableConv2D(4, 2, pointwise_regularizer="l2", pointwise_constraint="non_neg", activation="relu")(y)
    y = layers.ActivityRegularization(l1=0.001, l2=0.01)(layers.Reshape((4, 4))(y))
    y = layers.GRU(3, return_sequences=True, recurrent_regularizer=r.L2(0.05), kernel_constraint=c.MaxNorm(0.5), activity_regularizer="l2")(y)
    y = layers.MultiHeadAttention(2, 3, kernel_regularizer=r.L2(0.04), kernel_constraint=c.MaxNorm(0.9), use_bias=False)(y, y)
    y = layers.Dropout(0.0, activity_regularizer=r.L2(0.02))(layers.Flatten()(y))
    frozen = layers.Dense(5, kernel_regularizer=r.L2(1.0), kernel_constraint="non_neg", trainable=False)
    return keras.Model(x, layers.Dense(3, kernel_regularizer=r.OrthogonalRegularizer(0.1))(frozen(y)))


def rules_of(layer):
    return json.dumps({name: value for name, value in sorted(layer.get_config().items()) if name.endswith(("_regularizer", "_constraint"))})


def check_rules(check, folder):
    """Penalties are in the loss of training and evaluation, and constraints hold after each step, as in Keras."""
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(22, 6, 6, 2)).astype(np.float32), rng.integers(0, 3, 22)
    data, before, after = (os.path.join(folder, name) for name in ("rules.npz", "rules.keras", "after.keras"))
    np.savez(data, x=x, y=y)
    keras.utils.set_random_seed(7)
    model = ruled()
    model.compile(optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.save(before)
    found = [epoch["loss"] for epoch in train(before, data, epochs=2, batch_size=8, shuffle="false", save=after)]
    wanted = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]
    for epoch, (got, want) in enumerate(zip(found, wanted)):
        check.that(abs(got - want) <= 1e-5 * want, f"rules: loss of epoch {epoch}", f"{got}, want {want}")
    trained = keras.saving.load_model(after)
    for got, variable in zip(trained.variables, model.variables):
        if "seed" not in variable.path:
            check.close(got.numpy(), variable.numpy(), f"rules: {variable.path} after six steps", 2e-4)
    for got, layer in zip(trained.layers, model.layers):
        check.that(rules_of(got) == rules_of(layer), f"rules: what is written of {layer.name}", rules_of(got))
    judged = json.loads(tenon("evaluate", "--model", after, "--data", data, "--json").splitlines()[-1])["loss"]
    want = trained.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    check.that(abs(judged - want) <= 1e-5 * want, "rules: evaluate's loss", f"{judged}, want {want}")


REPEATED_OPTIMIZERS = {
    "adam": lambda: optimizers.Adam(0.05),
    "amsgrad": lambda: optimizers.Adam(0.05, amsgrad=True),
    "adamw_clipnorm": lambda: optimizers.AdamW(0.05, clipnorm=0.02),
    "rmsprop": lambda: optimizers.RMSprop(0.05),
    "adadelta": lambda: optimizers.Adadelta(0.5, rho=0.9),
    "adamax": lambda: optimizers.Adamax(0.01, beta_1=0.8),
    "ftrl": lambda: optimizers.Ftrl(0.1, l1_regularization_strength=0.01, l2_shrinkage_regularization_strength=0.03, beta=0.1),
    "lamb": lambda: optimizers.Lamb(0.02),
    "nadam": lambda: optimizers.Nadam(0.01, beta_1=0.85),
    "rmsprop_centered": lambda: optimizers.RMSprop(0.05, momentum=0.5, centered=True),
    "adagrad": lambda: optimizers.Adagrad(0.5, initial_accumulator_value=0.01),
    "adam_clipvalue": lambda: optimizers.Adam(0.05, clipvalue=0.01),  # beside a penalty: of the whole weight
    "adam_global_clipnorm": lambda: optimizers.Adam(0.05, global_clipnorm=0.05),
    "sgd_clipvalue": lambda: optimizers.SGD(0.5, clipvalue=0.01),
}


def repeated(kind):
    """A table that is looked up in, once or twice, or also read as a whole."""
    x = keras.Input((6,), dtype="int32")
    table = layers.Embedding(22, 4, embeddings_regularizer="l2" if kind == "penalty" else None)
    y = layers.Flatten()(table(x))
    if kind == "twice":
        y = layers.Multiply()([y, layers.Flatten()(table(x))])
    return keras.Model(x, layers.Dense(3, dtype="float32")(y))


def check_repeated_rows(check, folder):
    """Keras squares and clips the gradient of a token once for each time that a batch names it."""
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 20, (16, 6)).astype(np.int32), rng.integers(0, 3, 16)
    data, before, after = (os.path.join(folder, name) for name in ("rows.npz", "rows.keras", "after.keras"))
    np.savez(data, x=x, y=y)
    others = [("twice", "amsgrad"), ("penalty", "adam_clipvalue"), ("mixed", "rmsprop")]
    cases = [("plain", name) for name in REPEATED_OPTIMIZERS if name not in dict(others).values()] + others
    for kind, name in cases:
        keras.config.set_dtype_policy("mixed_bfloat16" if kind == "mixed" else "float32")
        keras.utils.set_random_seed(9)
        model = repeated(kind)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(REPEATED_OPTIMIZERS[name](), loss)
        model.save(before)
        model.compile(REPEATED_OPTIMIZERS[name](), loss, run_eagerly=True)  # a graph takes longer to make
        # Two steps, the second of a batch that is not whole.
        train(before, data, epochs=1, batch_size=10, shuffle="false", save=after)
        model.fit(x, y, batch_size=10, epochs=1, shuffle=False, verbose=0)
        trained = keras.saving.load_model(after)
        pairs = list(zip(trained.variables, model.variables)) + list(zip(trained.optimizer.variables, model.optimizer.variables))
        for got, want in pairs:
            if "seed" not in want.path:
                check.close(got.numpy(), want.numpy(), f"repeated tokens, {kind}, {name}: {want.path}", 2e-2 if kind == "mixed" else 2e-5)
    keras.config.set_dtype_policy("float32")


def check_random_layers(check, folder):
    """Layers that draw in training draw what Keras draws from an equal seed."""
    rng = np.random.default_rng(5)
    made = {"crop": ((6, 7, 2), lambda: layers.RandomCrop(3, 4, seed=5)), "enlarged": ((6, 7, 2), lambda: layers.RandomCrop(8, 5, seed=5)),
            "conv_lstm": ((3, 5, 5, 2), lambda: layers.ConvLSTM2D(3, 3, dropout=0.2, recurrent_dropout=0.3, seed=4))}
    data, path = os.path.join(folder, "random.npz"), os.path.join(folder, "random.keras")
    for name, (shape, layer) in made.items():
        x, y = rng.normal(size=(16, *shape)).astype(np.float32), rng.normal(size=(16, 1)).astype(np.float32)
        np.savez(data, x=x, y=y)
        model = keras.Sequential([keras.Input(shape), layer(), layers.Flatten(), layers.Dense(1)])
        model.compile("sgd", "mse")
        model.save(path)
        model.compile("sgd", "mse", run_eagerly=True)
        found = [epoch["loss"] for epoch in train(path, data, epochs=2, batch_size=8, shuffle="false")]
        check.close(found, model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"], f"random layers: losses with {name}", 1e-5)


def main():
    check = Checks()
    with tempfile.TemporaryDirectory() as folder:
        check_two_outputs(check, folder)
        check_rules(check, folder)
        check_repeated_rows(check, folder)
        check_random_layers(check, folder)
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            check_model(check, name, folder)
    check.done()


if __name__ == "__main__":
    main()
