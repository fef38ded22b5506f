//! A network: its wiring, its parameters, and the forward pass.

use biosweep_common::configuration::Shape;
use biosweep_common::topology::Topology;
use biosweep_common::vocabulary::{Activation, Rule};
use tch::{TchError, Tensor};

use crate::activation::activate;
use crate::buffer::{Buffer, aligned};
use crate::layer;
use crate::parameters::Parameters;
use crate::random::{Purpose, Stream};
use crate::scalar::Scalar;

/// Which layer reads what, and how wide each is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wiring {
    /// Layer → sources.
    pub topology: Topology,
    /// Units of the input, of each hidden layer, and of the output.
    widths: Vec<usize>,
}

impl Wiring {
    /// A topology with these widths: of the input, each hidden layer and the output.
    ///
    /// # Panics
    /// Where there are not as many widths as layers.
    #[must_use]
    pub fn new(topology: Topology, widths: Vec<usize>) -> Self {
        assert_eq!(widths.len(), topology.output() + 1, "a width for each layer");
        Self { topology, widths }
    }

    /// Units of a layer, 0 to L+1.
    #[must_use]
    pub fn width(&self, layer: usize) -> usize {
        self.widths[layer]
    }

    /// Units that a layer reads.
    #[must_use]
    pub fn fan_in(&self, layer: usize) -> usize {
        self.topology.sources(layer).iter().map(|&source| self.width(source)).sum()
    }

    /// The first column of a hidden layer in a matrix of all hidden units.
    #[must_use]
    pub fn column(&self, layer: usize) -> usize {
        self.widths[1..layer].iter().sum()
    }

    /// Units of all hidden layers.
    #[must_use]
    pub fn hidden_units(&self) -> usize {
        self.topology.hidden().map(|layer| self.width(layer)).sum()
    }

    /// The columns of the hidden units that a layer reads; `None` where it reads the input.
    #[must_use]
    pub fn source_columns(&self, layer: usize) -> Option<std::ops::Range<usize>> {
        let sources = self.topology.sources(layer);
        let (first, last) = (*sources.first()?, *sources.last()?);
        (first > 0).then(|| self.column(first)..self.column(last) + self.width(last))
    }

    /// The [out, in] shapes of layers 1 to L+1.
    #[must_use]
    pub fn shapes(&self) -> Vec<(usize, usize)> {
        (1..=self.topology.output()).map(|layer| (self.width(layer), self.fan_in(layer))).collect()
    }
}

/// One number for each hidden unit and image: [rows, Σ width], a layer's columns beside those of the layer before.
#[derive(Debug)]
pub struct HiddenMatrix<T> {
    /// The numbers, row after row.
    pub buffer: Buffer<T>,
    /// From one row to the next.
    pub stride: usize,
    layers: Vec<Tensor>,
    sources: Vec<Option<Tensor>>,
}

impl<T: Scalar> HiddenMatrix<T> {
    /// Zeros for so many images.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn zeros(wiring: &Wiring, rows: usize) -> Result<Self, TchError> {
        let stride = aligned(wiring.hidden_units());
        let buffer = Buffer::zeros(rows * stride)?;
        let view = |columns: std::ops::Range<usize>| buffer.matrix(columns.start, rows, columns.len(), stride);
        let own = |layer: usize| wiring.column(layer)..wiring.column(layer) + wiring.width(layer);
        let layers = wiring.topology.hidden().map(|layer| view(own(layer))).collect::<Result<_, _>>()?;
        let sources = (1..=wiring.topology.output())
            .map(|layer| wiring.source_columns(layer).map(view).transpose())
            .collect::<Result<_, _>>()?;
        Ok(Self { buffer, stride, layers, sources })
    }

    /// A hidden layer's columns.
    pub fn layer(&self, layer: usize) -> &Tensor {
        &self.layers[layer - 1]
    }

    /// The columns that a layer reads; `None` where it reads the input.
    #[must_use]
    pub fn sources(&self, layer: usize) -> Option<&Tensor> {
        self.sources[layer - 1].as_ref()
    }
}

/// The parameters of a network and what reads them.
#[derive(Debug)]
pub struct Network<T> {
    /// Which layer reads what.
    pub wiring: Wiring,
    /// σ of the hidden layers.
    pub activation: Activation,
    /// W and b of layers 1 to L+1.
    pub forward: Parameters<T>,
    /// B of layers 2 to L+1, for rules with fixed feedback (its biases are of no use).
    pub feedback: Option<Parameters<T>>,
    /// V and c of layers 2 to L, for rules with decoders.
    pub decoders: Option<Parameters<T>>,
}

/// One batch on its way through a network.
#[derive(Debug)]
pub struct Pass<T> {
    /// Images in it.
    pub rows: usize,
    /// The images, [rows, inputs].
    pub images: Buffer<T>,
    image_view: Tensor,
    /// h of all hidden layers.
    pub hidden: HiddenMatrix<T>,
    /// z of the output layer, [rows, classes].
    pub logits: Buffer<T>,
    logit_view: Tensor,
    /// δ of the output layer, [rows, classes].
    pub output_delta: Buffer<T>,
    output_delta_view: Tensor,
}

impl<T: Scalar> Network<T> {
    /// The network a trajectory begins with. Weights are drawn from N(0, 2/fan_in) for relu and N(0, 1/fan_in)
    /// otherwise, feedback like them, decoders from N(0, 1/fan_in); biases are zero.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn initial(shape: &Shape, inputs: usize, classes: usize, seed: u64, fold: u32) -> Result<Self, TchError> {
        let topology = Topology::new(shape.network, shape.depth as usize);
        let mut widths = vec![inputs];
        widths.extend(topology.hidden().map(|_| shape.hidden as usize));
        widths.push(classes);
        let mut network = Self::zeros(Wiring::new(topology, widths), shape.rule, shape.activation)?;
        let gain = if shape.activation == Activation::Relu { 2.0 } else { 1.0 };
        let draw = |parameters: &mut Parameters<T>, gain: f64, purpose: fn(u32) -> Purpose| {
            for layer in parameters.layers() {
                let fan_in = parameters.slot(layer).columns as f64;
                let mut stream = Stream::new(seed, fold, purpose(layer as u32), 0);
                parameters.draw_weights(0, layer, &mut stream, gain / fan_in);
            }
        };
        draw(&mut network.forward, gain, Purpose::Weights);
        if let Some(feedback) = &mut network.feedback {
            draw(feedback, gain, Purpose::Feedback);
        }
        if let Some(decoders) = &mut network.decoders {
            draw(decoders, 1.0, Purpose::Decoder);
        }
        Ok(network)
    }

    /// A network whose parameters are zero, with those that the rule has a use for.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn zeros(wiring: Wiring, rule: Rule, activation: Activation) -> Result<Self, TchError> {
        let shapes = wiring.shapes();
        let forward = Parameters::zeros(1, 1, &shapes)?;
        let feedback = (rule == Rule::Fa).then(|| Parameters::zeros(1, 2, &shapes[1..])).transpose()?;
        // A decoder gives back, from a layer's units, the units that the layer reads.
        let inverse: Vec<_> = shapes[1..shapes.len() - 1].iter().map(|&(units, sources)| (sources, units)).collect();
        let decoders = rule.has_decoders().then(|| Parameters::zeros(1, 2, &inverse)).transpose()?;
        Ok(Self { wiring, activation, forward, feedback, decoders })
    }
}

impl<T: Scalar> Pass<T> {
    /// Room for so many images.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn new(wiring: &Wiring, rows: usize) -> Result<Self, TchError> {
        let (inputs, classes) = (wiring.width(0), wiring.width(wiring.topology.output()));
        let images = Buffer::zeros(rows * inputs)?;
        let (logits, output_delta) = (Buffer::zeros(rows * classes)?, Buffer::zeros(rows * classes)?);
        Ok(Self {
            rows,
            image_view: images.matrix(0, rows, inputs, inputs)?,
            images,
            hidden: HiddenMatrix::zeros(wiring, rows)?,
            logit_view: logits.matrix(0, rows, classes, classes)?,
            logits,
            output_delta_view: output_delta.matrix(0, rows, classes, classes)?,
            output_delta,
        })
    }

    /// What a layer reads, [rows, in].
    pub fn input(&self, layer: usize) -> &Tensor {
        self.hidden.sources(layer).unwrap_or(&self.image_view)
    }

    /// δ of the output layer as a tensor.
    pub fn output_delta(&self) -> &Tensor {
        &self.output_delta_view
    }

    /// z of the output layer as a tensor.
    pub fn logits(&self) -> &Tensor {
        &self.logit_view
    }

    /// Carries the images through the first lane of the network.
    ///
    /// # Errors
    /// What libtorch refuses.
    pub fn forward(&mut self, network: &Network<T>) -> Result<(), TchError> {
        for layer in network.wiring.topology.hidden() {
            let views = network.forward.views(0, layer);
            let output = self.hidden.layer(layer);
            layer::forward(output, self.input(layer), &views.weight_t, &views.bias)?;
            activate(network.activation, output)?;
        }
        let output = network.wiring.topology.output();
        let views = network.forward.views(0, output);
        layer::forward(&self.logit_view, self.input(output), &views.weight_t, &views.bias)
    }

    /// The mean softmax cross-entropy of these labels, and δ of the output layer:
    /// δ = (softmax(z) − onehot(y)) / batch.
    pub fn loss(&mut self, labels: &[i64]) -> f64 {
        let classes = self.logits.slice().len() / self.rows;
        let scale = T::of(1.0 / self.rows as f64);
        let mut loss = 0.0;
        let rows = self.logits.slice().chunks(classes).zip(self.output_delta.slice_mut().chunks_mut(classes));
        for ((logits, delta), &label) in rows.zip(labels) {
            let label = label as usize;
            let most = logits.iter().copied().fold(logits[0], |most, z| if z > most { z } else { most });
            let mut sum = T::default();
            for (delta, &logit) in delta.iter_mut().zip(logits) {
                *delta = (logit - most).exp();
                sum += *delta;
            }
            loss += sum.to_f64().ln() - (logits[label] - most).to_f64();
            delta.iter_mut().for_each(|delta| *delta = *delta / sum * scale);
            delta[label] -= scale;
        }
        loss / self.rows as f64
    }

    /// The images among the first of these whose largest logit is their label's.
    #[must_use]
    pub fn correct(&self, labels: &[i64]) -> usize {
        let classes = self.logits.slice().len() / self.rows;
        let rows = self.logits.slice().chunks(classes).zip(labels);
        rows.filter(|(logits, label)| {
            let own = logits[**label as usize];
            // Of equals the first is the answer, as argmax has it; what is no number is no answer.
            logits.iter().enumerate().all(|(class, &logit)| logit < own || (logit == own && class as i64 >= **label))
        })
        .count()
    }
}
