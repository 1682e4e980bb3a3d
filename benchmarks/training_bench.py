"""A training step beside TensorFlow 2.21's `train_on_batch`, same models, same batches."""
from model_rows import Row


def rows():
    for model, batches in (("mlp", (64, 32, 128)), ("mnist_cnn", (64, 32, 128)), ("mlp_large", (64,)), ("mobilenetv2", (8,)), ("resnet50", (8,)),
                           ("efficientnetb0", (8,)), ("lstm", (32,)), ("transformer_small", (8,)), ("bert_base", (1,))):
        for batch in batches:
            yield Row("train", model, batch)


def figures(tenon):
    for row in rows():
        yield row.figure(tenon)
