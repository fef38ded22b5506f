"""What every peer is asked to train: shapes, first weights and data, the same for all."""

import numpy as np

INPUTS, UNITS, CLASSES, BATCH, IMAGES = 784, 128, 10, 128, 50_000
RATE, DECAY = 1e-3, 1e-5
SIDES = [28, 14, 7]


def sources(network, depth, layer):
    """The layers that a layer reads; 0 is the input, depth + 1 the output."""
    if layer == 1:
        return [0]
    return list(range(1, layer)) if network.startswith("d") else [layer - 1]


def channels(layer):
    return 1 if layer == 0 else 16 * layer


def side(layer):
    """Rows of a convolutional layer: the resolution halves after layers 1 and 2."""
    return SIDES[min(max(layer - 1, 0), 2)]


def parameters(network, depth):
    """Weights [out, in] (or [out, in, 3, 3]) and biases of layers 1 to depth + 1."""
    draw = np.random.default_rng(0)
    made = []
    for layer in range(1, depth + 2):
        read = sources(network, depth, layer)
        if network.endswith("convnet"):
            inputs = sum(channels(source) for source in read)
            shape = (CLASSES, inputs) if layer == depth + 1 else (channels(layer), inputs, 3, 3)
        else:
            inputs = sum(INPUTS if source == 0 else UNITS for source in read)
            shape = (CLASSES if layer == depth + 1 else UNITS, inputs)
        fan_in = int(np.prod(shape[1:]))
        weight = draw.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(2 / fan_in))
        made.append((weight, np.zeros(shape[0], np.float32)))
    return made


def feedback(network, depth):
    """Fixed random matrices of the weights' shapes."""
    draw = np.random.default_rng(1)
    shapes = [weight.shape for weight, _ in parameters(network, depth)]
    scale = [np.float32(np.sqrt(2 / int(np.prod(shape[1:])))) for shape in shapes]
    return [draw.standard_normal(shape, dtype=np.float32) * by for shape, by in zip(shapes, scale)]


class Batches:
    """Minibatches of random images, each epoch in an order of its own."""

    def __init__(self):
        self.draw = np.random.default_rng(2)
        self.images = self.draw.integers(0, 256, (IMAGES, INPUTS), dtype=np.uint8)
        self.labels = self.draw.integers(0, CLASSES, IMAGES)
        self.order, self.taken = self.draw.permutation(IMAGES), 0

    def next(self):
        if self.taken + BATCH > IMAGES:
            self.order, self.taken = self.draw.permutation(IMAGES), 0
        batch = self.order[self.taken : self.taken + BATCH]
        self.taken += BATCH
        return self.images[batch].astype(np.float32) * np.float32(1 / 255), self.labels[batch]


def serve(step, finish, loss_of):
    """Answers `round N` with the seconds of N steps, and `loss` with the loss on the next batch."""
    import sys
    import time

    batches = Batches()
    for line in sys.stdin:
        words = line.split()
        if words[0] == "loss":
            print(float(loss_of(*batches.next())), flush=True)
            continue
        start = time.perf_counter()
        for _ in range(int(words[1])):
            step(*batches.next())
        finish()
        print(time.perf_counter() - start, flush=True)
