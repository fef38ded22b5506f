"""The step in JAX, compiled whole with donated buffers: `jax_step.py RULE NETWORK DEPTH OPTIMIZER`."""

import sys

import jax
import jax.numpy as jnp

from networks import DECAY, RATE, feedback, parameters, serve, sources

rule, network, depth, optimizer = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
if network.endswith("convnet"):
    sys.exit("the convolutional networks are compared with PyTorch only")


@jax.custom_vjp
def aligned(inputs, weight, bias, back):
    return inputs @ weight.T + bias


def aligned_forward(inputs, weight, bias, back):
    return aligned(inputs, weight, bias, back), (inputs, back)


def aligned_backward(kept, delta):
    inputs, back = kept
    return delta @ back, delta.T @ inputs, delta.sum(0), None


aligned.defvjp(aligned_forward, aligned_backward)
fixed = [jnp.asarray(one) for one in feedback(network, depth)]


def loss(weights, images, labels):
    activities = [images]
    for number, ((weight, bias), back) in enumerate(zip(weights, fixed), 1):
        seen = [activities[source] for source in sources(network, depth, number)]
        inputs = jnp.concatenate(seen, 1) if len(seen) > 1 else seen[0]
        z = aligned(inputs, weight, bias, back) if rule == "fa" else inputs @ weight.T + bias
        activities.append(z if number > depth else jax.nn.relu(z))
    chosen = jnp.take_along_axis(jax.nn.log_softmax(activities[-1]), labels[:, None], 1)
    return -jnp.mean(chosen)


def sgd(weights, state, gradients):
    return jax.tree.map(lambda w, g: w - RATE * (g + DECAY * w), weights, gradients), state


def adam(weights, state, gradients):
    mean, square, updates = state
    updates += 1
    gradients = jax.tree.map(lambda w, g: g + DECAY * w, weights, gradients)
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradients)
    square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, gradients)
    by_mean, by_square = 1 - 0.9**updates, 1 - 0.999**updates
    moved = lambda w, m, v: w - RATE * (m / by_mean) / (jnp.sqrt(v / by_square) + 1e-8)
    return jax.tree.map(moved, weights, mean, square), (mean, square, updates)


weights = jax.tree.map(jnp.asarray, parameters(network, depth))
zeros = lambda: jax.tree.map(jnp.zeros_like, weights)
state = () if optimizer == "sgd" else (zeros(), zeros(), jnp.float32(0))
move = sgd if optimizer == "sgd" else adam
compiled = jax.jit(lambda w, s, x, y: move(w, s, jax.grad(loss)(w, x, y)), donate_argnums=(0, 1))


def step(images, labels):
    global weights, state
    weights, state = compiled(weights, state, images, labels)


serve(step, lambda: jax.block_until_ready(weights), lambda *batch: loss(weights, *batch))
