"""Steps of Keras' optimizers as one op for each variable: the formulas of their update_step()."""
import functools

from keras.src import ops
from keras.src.optimizers.adam import Adam
from keras.src.optimizers.rmsprop import RMSprop
from keras.src.optimizers.sgd import SGD
from tenon import _tenon, raw_ops
from tenon.tf.sparse_tensor import IndexedSlices


def step_of(optimizer):
    """The function of (optimizer, gradient, tf variable, learning rate); None where update_step() is the program's own."""
    return _STEPS.get(type(optimizer).update_step)


def takes(step, gradient, variable):
    """Whether the ops know the variable's dtype; and of rows that were looked up, whether the step's op squares them before it
    adds up what belongs to one row."""
    return variable.dtype in ("float32", "float64") and (step is _adam or not isinstance(gradient, IndexedSlices))


def _slot(slots, index):
    return slots[index].value


def _adam(optimizer, gradient, variable, learning_rate):
    dtype = variable.dtype.name
    index = optimizer._get_variable_index(variable)
    step = ops.cast(optimizer.iterations + 1, dtype)
    power_1 = ops.power(ops.cast(optimizer.beta_1, dtype), step)
    power_2 = ops.power(ops.cast(optimizer.beta_2, dtype), step)
    alpha = ops.cast(learning_rate, dtype) * ops.sqrt(1 - power_2) / (1 - power_1)
    gradient, adam = ops.cast(gradient, dtype), raw_ops._KerasAdam
    if isinstance(gradient, IndexedSlices):
        squares = IndexedSlices(ops.square(gradient.values), gradient.indices, gradient.dense_shape)
        adam = functools.partial(raw_ops._KerasAdamOfRows, square=_tenon.convert(squares))
    adam(
        var=variable, m=_slot(optimizer._momentums, index), v=_slot(optimizer._velocities, index),
        v_hat=[_slot(optimizer._velocity_hats, index)] if optimizer.amsgrad else [], alpha=alpha,
        one_minus_beta1=ops.cast(1 - optimizer.beta_1, dtype), one_minus_beta2=ops.cast(1 - optimizer.beta_2, dtype),
        epsilon=ops.cast(optimizer.epsilon, dtype), grad=_tenon.convert(gradient))


def _rmsprop(optimizer, gradient, variable, learning_rate):
    dtype = variable.dtype.name
    index = optimizer._get_variable_index(variable)
    raw_ops._KerasRmsProp(
        var=variable, velocity=_slot(optimizer._velocities, index),
        momentum_slot=[_slot(optimizer._momentums, index)] if optimizer.momentum > 0 else [],
        average_gradient=[_slot(optimizer._average_gradients, index)] if optimizer.centered else [],
        lr=ops.cast(learning_rate, dtype), rho=ops.cast(optimizer.rho, dtype), one_minus_rho=ops.cast(
            1 - optimizer.rho, dtype), momentum=ops.cast(optimizer.momentum, dtype),
        epsilon=ops.cast(optimizer.epsilon, dtype), grad=ops.cast(gradient, dtype))


def _sgd(optimizer, gradient, variable, learning_rate):
    dtype = variable.dtype.name
    rate, gradient = ops.cast(learning_rate, dtype), ops.cast(gradient, dtype)
    if optimizer.momentum == 0:
        raw_ops.ResourceApplyGradientDescent(var=variable, alpha=rate, delta=gradient)
        return
    accumulated = _slot(optimizer.momentums, optimizer._get_variable_index(variable))
    raw_ops.ResourceApplyKerasMomentum(var=variable, accum=accumulated, lr=rate, grad=gradient, momentum=ops.cast(
        optimizer.momentum, dtype), use_nesterov=bool(optimizer.nesterov))


_STEPS = {Adam.update_step: _adam, RMSprop.update_step: _rmsprop, SGD.update_step: _sgd}
