"""keras.src.backend.tenon.rnn: Keras' own; a GPU has no recurrent kernels of its own here."""
from keras.src.backend.tenon.in_tree import rnn as _rnn

_rnn._is_gpu_available = lambda: False
globals().update({name: value for name, value in vars(_rnn).items() if not name.startswith("__")})
