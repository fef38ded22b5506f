//! The choices with names in a configuration: learning rules, networks, activation functions, optimisers, datasets.

pub mod access;
pub mod dataset;
pub mod diagnostics;
pub mod extent;
pub mod ids;
pub mod text;
pub mod time;
pub mod trace;

use self::extent::Extent;

/// A name is not in the list of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{name}`; known: {}", known.join(", "))]
pub struct UnknownName {
    /// The kind, such as `rule`.
    pub what: &'static str,
    /// The name as given.
    pub name: String,
    /// The known names.
    pub known: Vec<&'static str>,
}

/// Declares an enum whose variants have one name each.
#[macro_export]
macro_rules! names {
    ($(#[$doc:meta])* $type:ident ($what:literal) { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $($(#[$variant_doc])* $variant,)+ }

        impl $type {
            /// Every choice, in the order of tables.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Every name, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The name in spec files, results and messages.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }

        $crate::vocabulary::named_type!($type, $what);
    };
}

/// Implements reading and writing of a type by `name()`, from its `ALL` and `NAMES`.
#[macro_export]
macro_rules! named_type {
    ($type:ident, $what:literal) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::vocabulary::UnknownName;
            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|one| one.name() == name).ok_or_else(|| {
                    $crate::vocabulary::UnknownName { what: $what, name: name.to_owned(), known: Self::NAMES.to_vec() }
                })
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub use {named_type, names};

names! {
    /// A network: a kind of layer with a connectivity.
    Network("network") {
        /// Fully connected; each layer has the previous one as source.
        Nn = "nn",
        /// Fully connected; each layer has all previous hidden layers as sources.
        Dn = "dn",
        /// Fully connected; each layer has the previous one and random earlier ones as sources.
        Lognormal = "lognormal",
        /// Convolutional; each layer has the previous one as source.
        Convnet = "convnet",
        /// Convolutional; each layer has all previous hidden layers as sources.
        DenseConvnet = "dense_convnet",
        /// Fully connected; each hidden layer has the previous one as source, the output has all hidden layers.
        Readout = "readout",
        /// Fully connected; each layer has the previous one as source, and each hidden layer above the first adds it.
        Residual = "residual",
    }
}

names! {
    /// The network whose number of forward parameters another network takes.
    ParametersAs("network to take the number of parameters of") {
        /// The network `dn` of the same depth and `hidden`.
        Dn = "dn",
    }
}

names! {
    /// What a contrast compares.
    Quantity("quantity of a contrast") {
        /// Test accuracy, a fraction.
        Accuracy = "accuracy",
        /// Slope of the test accuracy on the depth, a fraction per hidden layer.
        Slope = "slope",
    }
}

names! {
    /// When the decoders of a rule learn.
    DecoderOrder("decoder order") {
        /// With the forward weights: targets come from the decoders as they were before the update.
        Same = "same",
        /// Before the targets are computed from them.
        Before = "before",
    }
}

names! {
    /// The activation function of decoders.
    DecoderActivation("decoder activation") {
        /// The activation function of the hidden layers.
        Same = "same",
        /// The identity.
        Linear = "linear",
    }
}

names! {
    /// How predictive coding finds its states.
    PcSolver("solver of predictive coding") {
        /// The states of all layers move at once.
        State = "state",
        /// The prediction errors move; states follow from them through the layers (error-based predictive coding).
        Error = "error",
    }
}

names! {
    /// The activation function of the hidden layers.
    ActivationFunction("activation") {
        /// max(0, z).
        Relu = "relu",
        /// 1 / (1 + e^-z).
        Sigmoid = "sigmoid",
        /// The hyperbolic tangent.
        Tanh = "tanh",
    }
}

names! {
    /// How a gradient, or a change that a rule uses instead, updates the weights.
    Optimizer("optimizer") {
        /// Stochastic gradient descent, with optional heavy-ball momentum.
        Sgd = "sgd",
        /// Adam (Kingma and Ba 2015) with β = (0.9, 0.999), ε = 1e-8.
        Adam = "adam",
        /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
        Adamw = "adamw",
        /// RMSprop (Tieleman and Hinton 2012) with α = 0.99, ε = 1e-8.
        Rmsprop = "rmsprop",
    }
}

names! {
    /// A dataset of labelled images.
    Dataset("dataset") {
        /// The MNIST handwritten digits (LeCun et al. 1998): 60,000 + 10,000 images of 28×28.
        Mnist = "mnist",
        /// Zalando's pictures of clothes (Xiao et al. 2017), in the format of MNIST.
        FashionMnist = "fashion-mnist",
        /// Kuzushiji-MNIST, cursive hiragana (Clanuwat et al. 2018), in the format of MNIST.
        Kmnist = "kmnist",
        /// CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 colour images of 32×32.
        Cifar10 = "cifar-10",
        /// Digits drawn by biosweep from strokes; no download is needed.
        SyntheticDigits = "synthetic-digits",
    }
}

names! {
    /// The file format of custom data.
    CustomFormat("data format") {
        /// The format of the MNIST files: arrays of bytes.
        Idx = "idx",
        /// The format of NumPy arrays.
        Npy = "npy",
    }
}

impl CustomFormat {
    /// The names of the files with training images, training labels, test images and test labels; each has one or more
    /// possible names.
    #[must_use]
    pub const fn files(self) -> [&'static [&'static str]; 4] {
        match self {
            Self::Idx => IDX_NAMES,
            Self::Npy => [&["train_images.npy"], &["train_labels.npy"], &["test_images.npy"], &["test_labels.npy"]],
        }
    }
}

impl Dataset {
    /// The identity of the dataset's content; part of every trial's key.
    #[must_use]
    pub const fn digest(self) -> &'static str {
        match self {
            // The digest of the training images, which `biosweep-data` checks. The other files are checked too, and no
            // two datasets have the same training images.
            Self::Mnist => "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            Self::FashionMnist => "md5:f4a8712d7a061bf5bd6d2ca38dc4d50a",
            Self::Kmnist => "gzip-sha256:51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            Self::Cifar10 => "md5:5dd7e06a14cb22eb9f671a540d1b7c25",
            Self::SyntheticDigits => "synthetic-digits/3",
        }
    }
}

impl Dataset {
    /// The size of the images.
    #[must_use]
    pub const fn image(self) -> Extent {
        match self {
            Self::Mnist | Self::FashionMnist | Self::Kmnist | Self::SyntheticDigits => {
                Extent { channels: 1, height: 28, width: 28 }
            }
            Self::Cifar10 => Extent { channels: 3, height: 32, width: 32 },
        }
    }

    /// The number of classes.
    #[must_use]
    pub const fn classes(self) -> usize {
        match self {
            Self::Mnist | Self::FashionMnist | Self::Kmnist | Self::Cifar10 | Self::SyntheticDigits => 10,
        }
    }
}

impl Network {
    /// Whether the layers are convolutions.
    #[must_use]
    pub const fn is_convolutional(self) -> bool {
        match self {
            Self::Nn | Self::Dn | Self::Lognormal | Self::Readout | Self::Residual => false,
            Self::Convnet | Self::DenseConvnet => true,
        }
    }
}

impl Network {
    /// Whether the network may take the number of parameters of another one: a chain, whose width is free.
    #[must_use]
    pub const fn takes_parameters_as(self) -> bool {
        matches!(self, Self::Nn | Self::Readout | Self::Residual)
    }
}

/// The names of the four idx files, in the order of [`CustomFormat::files`].
const IDX_NAMES: [&[&str]; 4] = [
    &["train-images-idx3-ubyte", "train-images.idx3-ubyte"],
    &["train-labels-idx1-ubyte", "train-labels.idx1-ubyte"],
    &["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"],
    &["t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rule;

    #[test]
    fn every_name_reads_back() {
        for rule in Rule::ALL {
            assert_eq!(rule.name().parse::<Rule>(), Ok(*rule));
        }
        for network in Network::ALL {
            assert_eq!(network.name().parse::<Network>(), Ok(*network));
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let error = "backprop".parse::<Rule>().expect_err("not a rule");
        assert_eq!(
            error.to_string(),
            "unknown rule `backprop`; known: bp, fa, dfa, usf, frsf, dtp, sdtp, brsf, drtp, kp, dkp, fwdtp, local, ddtp, ldrl, pc"
        );
    }
}
