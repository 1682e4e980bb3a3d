"""keras.src.backend.tenon.optimizer: Keras' own, which works on state that is handed in, too."""
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


for _name in ("assign", "assign_add", "assign_sub", "_backend_update_step", "_apply_weight_decay",
              "_overwrite_model_variables_with_average_value", "_backend_increment_gradient_accumulators"):
    setattr(TFOptimizer, _name, _either(_name))
