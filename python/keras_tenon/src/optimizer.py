"""keras.src.backend.tenon.optimizer: Keras' own, with steps of one op, and on state that is handed in, too."""
from keras.src.backend.common.stateless_scope import in_stateless_scope
from keras.src.backend.tenon.in_tree import optimizer as _optimizer
from keras.src.optimizers.base_optimizer import BaseOptimizer


def _either(name):
    """A method: on variables TensorFlow's, in a StatelessScope, where there are none, that of all backends."""
    def method(self, *args, **kwargs):
        owner = BaseOptimizer if in_stateless_scope() else _optimizer.TFOptimizer
        return getattr(owner, name)(self, *args, **kwargs)

    method.__name__ = name
    return method


class TFOptimizer(_optimizer.TFOptimizer):
    stateless_apply = BaseOptimizer.stateless_apply

    def _var_key(self, variable):
        """Of the variable itself, whatever value a StatelessScope gives it."""
        return getattr(variable, "_value", variable)._unique_id

    def _distributed_tf_update_step(self, distribution, grads_and_vars, learning_rate):
        from keras_tenon.src import fused_steps  # Keras' optimizers stand on this module

        step = fused_steps.step_of(self)
        fused = [(g, v) for g, v in grads_and_vars if step is not None and fused_steps.takes(step, g, v)]
        for gradient, variable in fused:
            distribution.extended.update(variable, lambda v, g, rate: step(self, g, v, rate), args=(gradient, learning_rate))
        others = [(g, v) for g, v in grads_and_vars if step is None or not fused_steps.takes(step, g, v)]
        super()._distributed_tf_update_step(distribution, others, learning_rate)


for _name in ("assign", "assign_add", "assign_sub", "_backend_update_step", "_apply_weight_decay",
              "_overwrite_model_variables_with_average_value", "_backend_increment_gradient_accumulators"):
    setattr(TFOptimizer, _name, _either(_name))
