"""tf.train: checkpoints, examples."""
from tenon.tf import missing as _missing
from tenon.tf.train.checkpoint import Checkpoint, CheckpointOptions  # noqa: F401
from tenon.tf.train.example import BytesList, Example, Feature, Features, FloatList, Int64List  # noqa: F401
from tenon.tf.train.manager import CheckpointManager  # noqa: F401
from tenon.tf.train.reader import (get_checkpoint_state, latest_checkpoint, list_variables, load_checkpoint,  # noqa: F401
                                   load_variable)


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(_missing.message("tf.train", name, globals()))
