"""One call of a SavedModel beside TensorFlow 2.21's `saved_model.load`, same models, same batches."""
from model_rows import Row


def rows():
    for model, batches in (("mlp", (1, 256)), ("mlp_large", (1, 64)), ("mnist_cnn", (1, 64)), ("mobilenetv2", (1, 16)), ("resnet50", (1, 8)),
                           ("efficientnetb0", (1, 8)), ("lstm", (1, 32)), ("transformer_small", (1, 8)), ("bert_base", (1,))):
        for batch in batches:
            yield Row("infer", model, batch)


def figures(tenon):
    for row in rows():
        yield row.figure(tenon)
