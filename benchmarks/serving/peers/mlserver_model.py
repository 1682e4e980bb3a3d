"""TensorFlow as a model of MLServer, which finds it by model-settings.json."""
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class SavedModel(MLModel):
    async def load(self):
        import tensorflow as tf
        self.constant = tf.constant
        self.loaded = tf.saved_model.load(self.settings.parameters.uri)
        self.call = self.loaded.signatures["serving_default"]
        (self.input, _), = self.call.structured_input_signature[1].items()
        return True

    async def predict(self, payload):
        x = NumpyCodec.decode_input(payload.inputs[0])
        y = next(iter(self.call(**{self.input: self.constant(x)}).values())).numpy()
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("y", y)])
