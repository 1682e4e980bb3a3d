#!/usr/bin/env python3
"""Prints the convolutions and products of known networks, for tenon/kernels/convolution/network_shapes_test.cc.

    python3 tests/support/network_shapes.py > tenon/kernels/convolution/testdata/network_shapes.txt

needs keras. A line is `conv HEIGHT WIDTH IN OUT KERNEL_H KERNEL_W STRIDE_H STRIDE_W DILATION PADDING GROUPS NETWORK..`
or `product IN OUT NETWORK..`; each shape stands once, with the networks that have it.
"""
import os

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras  # noqa: E402

NETWORKS = ("ResNet50 ResNet50V2 MobileNet MobileNetV2 MobileNetV3Small MobileNetV3Large DenseNet121 VGG16 InceptionV3 "
            "InceptionResNetV2 Xception EfficientNetB0 EfficientNetV2B0 NASNetMobile ConvNeXtTiny").split()

OPEN_SIZE = 28  # of images whose size a network leaves open


def layers_of(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)
        else:
            yield layer


def shapes_of(layer):
    kind = type(layer).__name__
    if kind == "Dense":
        yield ("product", layer.input.shape[-1], layer.output.shape[-1])
    if kind not in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D"):
        return
    height, width, channels = (size or OPEN_SIZE for size in layer.input.shape[1:])
    window = (*layer.kernel_size, *layer.strides, layer.dilation_rate[0], layer.padding)
    if kind == "Conv2D":
        yield ("conv", height, width, channels, layer.output.shape[-1], *window, layer.groups)
    else:
        yield ("conv", height, width, channels, channels * layer.depth_multiplier, *window, channels)
    if kind == "SeparableConv2D":
        height, width, out = (size or OPEN_SIZE for size in layer.output.shape[1:])
        yield ("conv", height, width, channels, out, 1, 1, 1, 1, 1, "valid", 1)


def main():
    networks = {}
    for name in NETWORKS:
        for layer in layers_of(getattr(keras.applications, name)(weights=None)):
            for shape in shapes_of(layer):
                if name not in networks.setdefault(shape, []):
                    networks[shape].append(name)
        keras.backend.clear_session()
    print("# made by tests/support/network_shapes.py with keras", keras.__version__)
    for shape, names in sorted(networks.items(), key=lambda item: tuple(map(str, item[0]))):
        print(*shape, *names)


if __name__ == "__main__":
    main()
