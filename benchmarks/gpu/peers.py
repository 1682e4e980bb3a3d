"""The peers of benchmarks/gpu: `peers.py NAME ROWS torch|compiled|jax` prints the median of a training step, or of a call, in milliseconds.

Batches come from pinned host memory and are copied without waiting; nobody reads the loss. float32 is exact for the MLP and the small CNN, the others run
by autocast to bfloat16, images channels last. NAME_infer: one call after another of the network in bfloat16, from float32 in pinned host memory and back to it.
"""
import statistics
import sys
import time

SMALL = ("mlp", "cnn")  # networks in float32, bound by launches


def measure(step, wait, seconds=2.0):
    for _ in range(5):
        step()
    wait()
    times, begin = [], time.perf_counter()
    while time.perf_counter() - begin < seconds:
        start, count = time.perf_counter(), 5
        for _ in range(count):
            step()
        wait()
        times.append((time.perf_counter() - start) * 1e3 / count)
    return statistics.median(times)


def torch_model(name, rows):
    import torch
    from torch import nn
    if name == "mlp":
        return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)), torch.rand(rows, 784), 10
    if name == "cnn":
        layers = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.5),
                  nn.Linear(1600, 10)]
        return nn.Sequential(*layers), torch.rand(rows, 1, 28, 28), 10
    if name == "resnet50":
        import torchvision
        images = torch.rand(rows, 3, 224, 224).to(memory_format=torch.channels_last)
        return torchvision.models.resnet50().to(memory_format=torch.channels_last), images, 1000

    class Bert(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(30522, 768)
            layer = nn.TransformerEncoderLayer(768, 12, 3072, dropout=0.0, activation="gelu", batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)
            self.head = nn.Linear(768, 2)

        def forward(self, ids):
            return self.head(self.encoder(self.words(ids))[:, 0])

    return Bert(), torch.randint(0, 30000, (rows, 128)), 2


def torch_call(name, rows, compiled):
    import torch
    model, x, _ = torch_model(name, rows)
    model = model.cuda().bfloat16().eval()
    x = x.pin_memory()
    if compiled:
        model = torch.compile(model, mode="reduce-overhead")

    def call():
        with torch.inference_mode():
            return model(x.cuda(non_blocking=True).bfloat16()).float().cpu()

    return call, torch.cuda.synchronize


def torch_step(name, rows, compiled):
    import torch
    model, x, classes = torch_model(name, rows)
    model = model.cuda().train()
    x, y = x.pin_memory(), torch.randint(0, classes, (x.shape[0],)).pin_memory()
    optimizer = torch.optim.Adam(model.parameters(), fused=True, capturable=True)
    loss_of = torch.nn.CrossEntropyLoss()

    def loss(a, b):
        with torch.autocast("cuda", torch.bfloat16, enabled=name not in SMALL):
            return loss_of(model(a), b)

    if compiled:
        loss = torch.compile(loss, mode="reduce-overhead" if name in SMALL else None)

    def step():
        a, b = x.cuda(non_blocking=True), y.cuda(non_blocking=True)
        optimizer.zero_grad(set_to_none=True)
        loss(a, b).backward()
        optimizer.step()

    return step, torch.cuda.synchronize


def jax_step(name, rows):
    if name != "mlp":
        raise SystemExit("JAX brings no such network")
    import jax
    import jax.numpy as jnp
    import numpy as np
    jax.config.update("jax_default_matmul_precision", "highest")
    rng = np.random.default_rng(0)
    shapes = [(784, 128), (128,), (128, 10), (10,)]
    weights = [jnp.asarray(rng.normal(0, 0.05, s), jnp.float32) for s in shapes]
    state = [weights, [jnp.zeros(s) for s in shapes], [jnp.zeros(s) for s in shapes], jnp.zeros(())]
    x, y = rng.random((rows, 784), np.float32), rng.integers(0, 10, rows)

    def loss(w, a, b):
        logits = jnp.maximum(a @ w[0] + w[1], 0) @ w[2] + w[3]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), b[:, None], 1))

    @jax.jit
    def update(s, a, b):
        w, m, v, t = s
        g, t = jax.grad(loss)(w, a, b), t + 1
        m = [0.9 * i + 0.1 * j for i, j in zip(m, g)]
        v = [0.999 * i + 0.001 * j * j for i, j in zip(v, g)]
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return [[i - rate * j / (jnp.sqrt(k) + 1e-7) for i, j, k in zip(w, m, v)], m, v, t]

    def step():
        state[:] = update(state, x, y)

    return step, lambda: jax.block_until_ready(state)


def made(name, rows, peer):
    if peer == "jax":
        return jax_step(name, rows)
    if name.endswith("_infer"):
        return torch_call(name.removesuffix("_infer"), rows, peer == "compiled")
    return torch_step(name, rows, peer == "compiled")


if __name__ == "__main__":
    print(f"{measure(*made(sys.argv[1], int(sys.argv[2]), sys.argv[3])):.4f}")
