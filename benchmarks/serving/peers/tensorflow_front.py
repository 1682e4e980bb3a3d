"""TensorFlow in the process of a server that does as little as Python can: TensorFlow Serving's JSON on an asyncio
protocol, its gRPC on grpcio.

    tensorflow_front.py SAVED_MODEL REST_PORT GRPC_PORT
"""
import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

MODEL = tf.saved_model.load(sys.argv[1])
CALL = MODEL.signatures["serving_default"]
(INPUT, _), = CALL.structured_input_signature[1].items()


def run(x):
    return next(iter(CALL(**{INPUT: tf.constant(x)}).values())).numpy()


class Connection(asyncio.Protocol):
    """HTTP/1.1 requests with a Content-Length, one after the other."""

    def connection_made(self, transport):
        self.transport, self.unread = transport, b""

    def data_received(self, data):
        self.unread += data
        while (end := self.unread.find(b"\r\n\r\n")) >= 0:
            head = self.unread[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15:].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.unread) < end + 4 + length:
                return
            body, self.unread = self.unread[end + 4:end + 4 + length], self.unread[end + 4 + length:]
            answer = b"{}"
            if body:
                x = np.array(json.loads(body)["instances"], np.float32)
                answer = json.dumps({"predictions": run(x).tolist()}).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                                 % len(answer) + answer)


def predict(request, _):
    x = tf.make_ndarray(next(iter(request.inputs.values())))
    answer = predict_pb2.PredictResponse()
    answer.outputs["y"].CopyFrom(tf.make_tensor_proto(run(x)))
    return answer


async def main():
    handler = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", {
        "Predict": grpc.unary_unary_rpc_method_handler(predict, predict_pb2.PredictRequest.FromString,
                                                       predict_pb2.PredictResponse.SerializeToString)})
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers([handler])
    server.add_insecure_port(f"127.0.0.1:{sys.argv[3]}")
    server.start()
    rest = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", int(sys.argv[2]))
    await rest.serve_forever()


asyncio.run(main())
