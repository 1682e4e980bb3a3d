"""ExponentialMovingAverage: shadows of variables that follow them slowly."""
from tenon import _tenon, raw_ops
from tenon.variable import Variable


class ExponentialMovingAverage:
    """shadow -= (1 - decay) * (shadow - variable), at each apply()."""

    def __init__(self, decay, num_updates=None, zero_debias=False, name="ExponentialMovingAverage"):
        if zero_debias:
            raise NotImplementedError("ExponentialMovingAverage: zero_debias is not there.")
        self._decay, self._updates, self.name, self._averages = decay, num_updates, name, {}

    def apply(self, var_list=None):
        if var_list is None:
            raise ValueError("apply() takes the variables whose averages are to be kept.")
        decay = self._decay
        if self._updates is not None:
            updates = raw_ops.Cast(x=_tenon.convert(self._updates), DstT="float32")
            decay = raw_ops.Minimum(x=_tenon.convert(decay, "float32"), y=(1.0 + updates) / (10.0 + updates))
        for variable in var_list:
            if id(variable) not in self._averages:
                shadow = Variable(lambda v=variable: v.read_value(), trainable=False, name=self._name_of(variable))
                self._averages[id(variable)] = (variable, shadow)
        for variable in var_list:
            shadow = self._averages[id(variable)][1]
            rest = 1 - _tenon.convert(decay, shadow.dtype) if not isinstance(decay, _tenon.Tensor) else raw_ops.Cast(
                x=1 - decay, DstT=shadow.dtype)
            shadow.assign_sub((shadow.read_value() - variable.read_value()) * rest)

    def _name_of(self, variable):
        return f"{variable.name.split(':')[0]}/{self.name}"

    def average(self, var):
        """The shadow of a variable; None where it has none."""
        found = self._averages.get(id(var))
        return None if found is None else found[1]

    def average_name(self, var):
        return self._name_of(var)

    def variables_to_restore(self, moving_avg_variables=None):
        return {self._name_of(variable): variable for variable, _ in self._averages.values()}
