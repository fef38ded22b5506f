//! Configurations and their keys.

use proptest::prelude::*;

use super::*;
use crate::settings::Domain;

fn point(settings: &[(Setting, Value)]) -> Point {
    let name = |name: &'static str| Value::Name(name.into());
    let mut point = Point::from([
        (Setting::Dataset, name("mnist")),
        (Setting::Network, name("nn")),
        (Setting::Rule, name("bp")),
        (Setting::Depth, Value::Integer(5)),
    ]);
    point.extend(settings.iter().cloned());
    point
}

fn configuration(settings: &[(Setting, Value)]) -> Configuration {
    Configuration::from_point(&point(settings)).expect("a configuration")
}

#[test]
fn a_configuration_is_the_same_after_conversion_to_a_point_and_back() {
    let configuration = configuration(&[
        (Setting::Rule, Value::Name("dtp".into())),
        (Setting::EarlyStopStart, Value::Integer(7)),
        (Setting::TargetStep, Value::Real(0.3)),
    ]);
    assert_eq!(Configuration::from_point(&configuration.to_point()), Ok(configuration));
}

#[test]
fn keys_with_the_same_first_digits_are_a_range() {
    let (least, greatest) = TrialKey::beginning_with("aB3").expect("digits");
    assert!(least.to_string().starts_with("ab300") && greatest.to_string().starts_with("ab3ff"));
    let key = configuration(&[]).key();
    assert_eq!(TrialKey::beginning_with(&key.to_string()), Some((key, key)));
    assert_eq!(TrialKey::beginning_with("xyz"), None);
    assert_eq!(TrialKey::beginning_with(&"0".repeat(65)), None);
}

#[test]
fn the_default_hyperparameters_are_those_of_an_empty_point() {
    assert_eq!(configuration(&[]).hyperparameters, Hyperparameters::default());
}

#[test]
fn a_setting_that_does_not_apply_does_not_change_the_key() {
    let plain = configuration(&[]);
    assert_eq!(plain.key(), configuration(&[(Setting::TargetStep, Value::Real(0.5))]).key());
    assert_ne!(plain.key(), configuration(&[(Setting::LearningRate, Value::Real(0.5))]).key());
    assert_ne!(plain.key(), configuration(&[(Setting::EarlyStopStart, Value::Integer(0))]).key());
}

#[test]
fn the_default_of_a_setting_that_was_added_later_does_not_change_the_key() {
    let fa = (Setting::Rule, Value::Name("fa".into()));
    let key = |settings: &[(Setting, Value)]| configuration(&[std::slice::from_ref(&fa), settings].concat()).key();
    let scale = |scale| key(&[(Setting::FeedbackScale, Value::Real(scale))]);
    let alignment = |alignment| key(&[(Setting::FeedbackAlignment, Value::Real(alignment))]);
    assert_eq!([scale(1.0), alignment(0.0)], [key(&[]); 2]);
    assert!(scale(2.0) != key(&[]) && alignment(0.5) != key(&[]));
    // The key that the program had before these settings.
    assert_eq!(key(&[]).to_string(), "33a2aad173250dd226fb3f1b18ed6071ac6f21e992f7bd762d676ec986282ff6");
}

#[test]
fn the_key_of_custom_data_depends_on_content_and_not_on_path() {
    let key = |directory: &str, digit: &str| {
        let name = format!("npy:{directory}#{}", digit.repeat(64));
        let configuration = configuration(&[(Setting::Dataset, Value::Name(name.clone().into()))]);
        assert_eq!(configuration.to_point()[&Setting::Dataset], Value::Name(name.into()));
        configuration.key()
    };
    assert_eq!(key("/here", "a"), key("/there", "a"));
    assert_ne!(key("/here", "a"), key("/here", "b"));
}

/// The key according to its definition.
fn key_by_definition(configuration: &Configuration) -> TrialKey {
    let mut point = configuration.to_point();
    point.insert(Setting::Dataset, Value::Name(configuration.shape.dataset.kind().into()));
    point.retain(|setting, value| !setting.is_implied(value));
    let settings: BTreeMap<&str, &Value> = point.iter().map(|(setting, value)| (setting.name(), value)).collect();
    let canonical = serde_json::json!({
        "settings": settings,
        "dataset_digest": configuration.shape.dataset.digest(),
        "numerics_version": NUMERICS_VERSION,
    });
    TrialKey(*blake3::hash(canonical.to_string().as_bytes()).as_bytes())
}

fn some_value(setting: Setting) -> BoxedStrategy<Value> {
    let bits = |from: f64, to: f64| (from..to).prop_map(Value::Real).boxed();
    match setting.domain() {
        Domain::Dataset => {
            let own =
                "[a-z\"\\\\/é]{1,9}".prop_map(|place| Value::Name(format!("npy:{place}#{}", "c".repeat(64)).into()));
            let published = prop::sample::select(Dataset::NAMES).prop_map(|name| Value::Name(name.into()));
            prop_oneof![own, published].boxed()
        }
        Domain::Names(names) => prop::sample::select(names).prop_map(|name| Value::Name(name.into())).boxed(),
        Domain::Integer { min, max } => (min..=max).prop_map(Value::Integer).boxed(),
        Domain::Positive => prop_oneof![bits(1e-12, 1e-3), bits(1e-3, 1e9)].boxed(),
        Domain::NonNegative | Domain::Fraction => prop_oneof![bits(0.0, 1e-3), bits(0.0, 0.999)].boxed(),
        Domain::Share => bits(1e-6, 1.0),
        Domain::Correlation => prop_oneof![Just(Value::Real(0.0)), bits(0.0, 1.0)].boxed(),
        Domain::Layers => prop::collection::btree_set(1_u64..50, 0..5)
            .prop_map(|layers| Value::Integers(layers.into_iter().collect()))
            .boxed(),
        Domain::Flag => any::<bool>().prop_map(Value::Flag).boxed(),
    }
}

fn some_point() -> impl Strategy<Value = Point> {
    let some = |&setting: &Setting| {
        let value = if setting.is_required() {
            some_value(setting).prop_map(Some).boxed()
        } else {
            prop::option::of(some_value(setting)).boxed()
        };
        (Just(setting), value)
    };
    let settings: Vec<_> = Setting::ALL.iter().map(some).collect();
    settings.prop_map(|settings| settings.into_iter().filter_map(|(s, value)| Some((s, value?))).collect())
}

proptest! {
    #[test]
    fn a_key_is_the_hash_of_the_settings_as_json(point in some_point()) {
        let configuration = Configuration::from_point(&point).expect("in its domain");
        prop_assert_eq!(configuration.key(), key_by_definition(&configuration));
    }
}

#[test]
fn an_error_names_a_missing_setting_or_an_invalid_value() {
    let mut without_depth = point(&[]);
    without_depth.remove(&Setting::Depth);
    let error = Configuration::from_point(&without_depth).expect_err("no depth");
    assert_eq!(error.to_string(), "setting `depth` is missing");
    let error = Configuration::from_point(&point(&[(Setting::LearningRate, Value::Real(f64::NAN))]));
    assert!(matches!(error, Err(ConfigurationError::OutOfDomain { setting: Setting::LearningRate, .. })));
}
