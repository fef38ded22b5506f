//! The names, the order and the levels of settings.

use super::*;

#[test]
fn settings_are_ordered_by_level() {
    assert!(Setting::ALL.is_sorted_by_key(|setting| setting.level()));
}

#[test]
fn a_number_outside_float32_is_in_no_domain() {
    let contains = |domain: Domain, number| domain.contains(&Value::Real(number));
    for domain in [Domain::Positive, Domain::NonNegative, Domain::Fraction] {
        for number in [1e-46, 1e-40, 1e39, f64::MAX, f64::INFINITY, f64::NAN, -1e-3] {
            assert!(!contains(domain, number), "{domain} {number:e}");
        }
        assert!(contains(domain, 1.18e-38) && contains(domain, 0.5), "{domain}");
        assert_eq!(contains(domain, 0.0), domain != Domain::Positive, "{domain}");
    }
    assert!(contains(Domain::Positive, 3.4e38) && !contains(Domain::Fraction, 1.0));
    assert!(!contains(Domain::Fraction, 0.999_999_999_9), "it is 1 in float32");
}

#[test]
fn every_hyperparameter_of_a_rule_is_a_setting_with_a_condition_on_the_rule() {
    for name in Rule::ALL.iter().flat_map(|rule| rule.descriptor().hyperparameters) {
        let condition = Setting::from_name(name).and_then(Setting::condition).expect("a setting with a condition");
        assert_eq!(condition.on, Setting::Rule, "{name}");
    }
}

#[test]
fn every_default_is_in_its_domain() {
    for setting in Setting::ALL {
        assert!(setting.default_value().is_none_or(|value| setting.domain().contains(&value)), "{setting}");
        assert_eq!(Setting::from_name(setting.name()), Some(*setting));
    }
}
