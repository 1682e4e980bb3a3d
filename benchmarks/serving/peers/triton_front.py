"""Triton's server, of the package nvidia-pytriton, over TensorFlow in the process that it asks.

    triton_front.py SAVED_MODEL REST_PORT GRPC_PORT METRICS_PORT
"""
import sys

import numpy as np
import tensorflow as tf
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

MODEL = tf.saved_model.load(sys.argv[1])
CALL = MODEL.signatures["serving_default"]
(INPUT, SPEC), = CALL.structured_input_signature[1].items()
OUTPUT, = CALL.structured_outputs.values()


@batch
def infer(x):
    return [next(iter(CALL(**{INPUT: tf.constant(x)}).values())).numpy()]


if __name__ == "__main__":
    config = TritonConfig(http_address="127.0.0.1", http_port=int(sys.argv[2]), grpc_port=int(sys.argv[3]),
                          metrics_port=int(sys.argv[4]))
    with Triton(config=config) as triton:
        triton.bind(model_name="m", infer_func=infer, config=ModelConfig(max_batch_size=64),
                    inputs=[Tensor(name="x", dtype=np.float32, shape=tuple(SPEC.shape[1:]))],
                    outputs=[Tensor(name="y", dtype=np.float32, shape=tuple(OUTPUT.shape[1:]))])
        triton.serve()
