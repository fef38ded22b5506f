"""The step in PyTorch eager, as its users write it: `torch_step.py RULE NETWORK DEPTH OPTIMIZER`."""

import sys

import torch
import torch.nn.functional as F
from torch import nn

from networks import CLASSES, DECAY, RATE, channels, feedback, parameters, serve, side, sources

torch.set_num_threads(1)
rule, network, depth, optimizer = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
is_convolutional = network.endswith("convnet")


class AlignedLinear(torch.autograd.Function):
    """A linear map whose errors go back through a fixed matrix."""

    @staticmethod
    def forward(ctx, inputs, weight, bias, back):
        ctx.save_for_backward(inputs, back)
        return F.linear(inputs, weight, bias)

    @staticmethod
    def backward(ctx, delta):
        inputs, back = ctx.saved_tensors
        to_inputs = delta @ back if ctx.needs_input_grad[0] else None
        return to_inputs, delta.t() @ inputs, delta.sum(0), None


class AlignedConv(torch.autograd.Function):
    """A convolution whose errors go back through a fixed kernel."""

    @staticmethod
    def forward(ctx, inputs, weight, bias, back):
        ctx.save_for_backward(inputs, weight, back)
        return F.conv2d(inputs, weight, bias, padding=1)

    @staticmethod
    def backward(ctx, delta):
        inputs, weight, back = ctx.saved_tensors
        to_inputs = None
        if ctx.needs_input_grad[0]:
            to_inputs = torch.nn.grad.conv2d_input(inputs.shape, back, delta, padding=1)
        to_weight = torch.nn.grad.conv2d_weight(inputs, weight.shape, delta, padding=1)
        return to_inputs, to_weight, delta.sum((0, 2, 3)), None


class Layer(nn.Module):
    def __init__(self, weight, bias, back):
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(weight.copy()))
        self.bias = nn.Parameter(torch.from_numpy(bias.copy()))
        self.register_buffer("back", torch.from_numpy(back.copy()))

    def forward(self, inputs):
        is_kernel = self.weight.dim() == 4
        if rule == "fa":
            apply = AlignedConv if is_kernel else AlignedLinear
            return apply.apply(inputs, self.weight, self.bias, self.back)
        if is_kernel:
            return F.conv2d(inputs, self.weight, self.bias, padding=1)
        return F.linear(inputs, self.weight, self.bias)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        made = zip(parameters(network, depth), feedback(network, depth))
        self.layers = nn.ModuleList(Layer(weight, bias, back) for (weight, bias), back in made)

    def forward(self, images):
        activities = [images.view(-1, 1, 28, 28) if is_convolutional else images]
        for number, layer in enumerate(self.layers, 1):
            seen = [activities[source] for source in sources(network, depth, number)]
            if is_convolutional and number > depth:
                seen = [one.mean((2, 3)) for one in seen]
            elif is_convolutional:
                factors = [one.shape[-1] // side(number) for one in seen]
                seen = [F.avg_pool2d(one, by) if by > 1 else one for one, by in zip(seen, factors)]
            z = layer(torch.cat(seen, 1) if len(seen) > 1 else seen[0])
            activities.append(z if number > depth else F.relu(z))
        return activities[-1]


model = Network()
made = torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam
optimiser = made(model.parameters(), lr=RATE, weight_decay=DECAY)


def loss_of(images, labels):
    return F.cross_entropy(model(torch.from_numpy(images)), torch.from_numpy(labels))


def step(images, labels):
    optimiser.zero_grad()
    loss_of(images, labels).backward()
    optimiser.step()


serve(step, lambda: None, lambda *batch: loss_of(*batch).item())
