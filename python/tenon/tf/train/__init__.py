"""tf.train: checkpoints, examples."""
from tenon.tf import missing as _missing
from tenon.tf.distribute.cluster import ClusterSpec  # noqa: F401
from tenon.tf.train.checkpoint import Checkpoint, CheckpointOptions  # noqa: F401
from tenon.tf.train.example import (BytesList, Example, Feature, FeatureList, FeatureLists, Features, FloatList,  # noqa: F401
                                    Int64List, SequenceExample)
from tenon.tf.train.manager import CheckpointManager  # noqa: F401
from tenon.tf.train.moving_average import ExponentialMovingAverage  # noqa: F401
from tenon.tf.train.reader import (get_checkpoint_state, latest_checkpoint, list_variables, load_checkpoint,  # noqa: F401
                                   load_variable)


def checkpoints_iterator(checkpoint_dir, min_interval_secs=0, timeout=None, timeout_fn=None):
    """The latest checkpoint of a folder, whenever there is a new one."""
    import time
    last, since = None, time.monotonic()
    while True:
        found = latest_checkpoint(checkpoint_dir)
        if found is not None and found != last:
            last, since = found, time.monotonic()
            yield found
            time.sleep(max(0, since + min_interval_secs - time.monotonic()))
        elif timeout is not None and time.monotonic() - since > timeout:
            if timeout_fn is None or timeout_fn():
                return
            since = time.monotonic()
        else:
            time.sleep(min(1, timeout or 1))


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(_missing.message("tf.train", name, globals()))
