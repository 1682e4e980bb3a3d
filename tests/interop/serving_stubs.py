"""TensorFlow Serving's own client stubs talk to `tenon serve`."""
import glob
import json
import os
import tempfile
import urllib.request

from common import Checks, digits, run_saved_model, served, train_digits

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (get_model_metadata_pb2, get_model_status_pb2, model_service_pb2_grpc, predict_pb2,
                                     prediction_log_pb2, prediction_service_pb2_grpc)


def predict_request(x, name="digits"):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = "serving_default"
    request.inputs["pixels"].CopyFrom(tf.make_tensor_proto(x))
    return request


def check_grpc(check, port, x, want):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        answer = prediction.Predict(predict_request(x), timeout=30)
        (got,) = (tf.make_ndarray(value) for value in answer.outputs.values())
        check.close(got, want, "Predict", 1e-6)
        check.that(answer.model_spec.version.value == 1, "Predict names the version", answer.model_spec)

        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = "digits"
        signatures = get_model_metadata_pb2.SignatureDefMap()
        prediction.GetModelMetadata(request, timeout=30).metadata["signature_def"].Unpack(signatures)
        entry = signatures.signature_def["serving_default"].inputs["pixels"]
        check.that([d.size for d in entry.tensor_shape.dim] == [-1, 64], "GetModelMetadata: shape of the input", entry)

        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "digits"
        status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=30)
        state = status.model_version_status[0].state
        check.that(state == get_model_status_pb2.ModelVersionStatus.AVAILABLE, "GetModelStatus", status)

        try:
            prediction.Predict(predict_request(x, "missing"), timeout=30)
            check.that(False, "an unknown model is NOT_FOUND", "it was answered")
        except grpc.RpcError as error:
            check.that(error.code() == grpc.StatusCode.NOT_FOUND, "an unknown model is NOT_FOUND", error)


def check_rest(check, port, x, want):
    body = json.dumps({"instances": x.tolist()}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/digits:predict", body, timeout=30) as answer:
        check.close(json.load(answer)["predictions"], want, "REST predict", 1e-6)


def check_request_log(check, prefix, x, want):
    """TensorFlow and TensorFlow Serving's own messages read what was logged, over gRPC and over REST."""
    files = glob.glob(prefix + "-digits.*.tfrecord")
    records = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(files)]
    check.that(len(records) == 2, "both predictions are logged", len(records))
    for record in records:
        request, response = record.predict_log.request, record.predict_log.response
        spec = (request.model_spec.name, request.model_spec.signature_name, response.model_spec.version.value)
        check.that(spec == ("digits", "serving_default", 1), "a record names model, signature and version", spec)
        check.that(np.array_equal(tf.make_ndarray(request.inputs["pixels"]), x), "and has the request", request)
        (got,) = (tf.make_ndarray(value) for value in response.outputs.values())
        check.close(got, want, "and the answer", 1e-6)


def main():
    check = Checks()
    x = digits("test")[0][:37]
    with tempfile.TemporaryDirectory() as base:
        train_digits(base)
        (want,) = run_saved_model(os.path.join(base, "1"), pixels=x).values()
        check.that(want.shape == (37, 10) and np.allclose(want.sum(1), 1, atol=1e-5), "probabilities", want[:2])
        log = os.path.join(base, "log")
        with served("digits", base, f"--request_log_prefix={log}") as (grpc_port, rest_port):
            check_grpc(check, grpc_port, x, want)
            check_rest(check, rest_port, x, want)
        check_request_log(check, log, x, want)
    check.done()


if __name__ == "__main__":
    main()
