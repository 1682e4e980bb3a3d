"""LitServe over TensorFlow.

    litserve_front.py SAVED_MODEL REST_PORT
"""
import sys

import litserve
import numpy as np


class Api(litserve.LitAPI):
    def setup(self, device):
        import tensorflow as tf
        self.constant = tf.constant
        self.model = tf.saved_model.load(sys.argv[1])
        self.call = self.model.signatures["serving_default"]
        (self.input, _), = self.call.structured_input_signature[1].items()

    def decode_request(self, request):
        return np.array(request["instances"], np.float32)

    def predict(self, x):
        return next(iter(self.call(**{self.input: self.constant(x)}).values())).numpy()

    def encode_response(self, output):
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    litserve.LitServer(Api(), accelerator="cpu").run(host="127.0.0.1", port=int(sys.argv[2]), log_level="error",
                                                     generate_client_file=False)
