//! The variables of the environment that OpenTelemetry defines for traces. An empty variable counts as unset.

use std::env;

use biosweep_common::vocabulary::trace::TracedShare;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const DISABLED: &str = "OTEL_SDK_DISABLED";
const SERVICE: &str = "OTEL_SERVICE_NAME";

/// A variable has a value that is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is `{value}`; {takes}")]
pub struct SettingsError {
    /// The variable.
    pub variable: &'static str,
    /// Its value.
    pub value: String,
    /// What is possible.
    pub takes: &'static str,
}

/// Where traces go, and which.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    /// The address of the collector, with `http://`.
    pub(super) endpoint: String,
    /// The share of trajectories.
    pub(super) share: TracedShare,
    /// The name of the service, if it is given.
    pub(super) service: Option<String>,
}

impl Settings {
    /// The settings of this process; `None` if no collector is named, or traces are turned off.
    pub(super) fn of_environment() -> Result<Option<Self>, SettingsError> {
        Self::read(|variable| env::var_os(variable).map(|value| value.to_string_lossy().into_owned()))
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, SettingsError> {
        let given = |name: &'static str| variable(name).filter(|value| !value.is_empty()).map(|value| (name, value));
        let Some(endpoint) = given(TRACES_ENDPOINT).or_else(|| given(ENDPOINT)) else { return Ok(None) };
        if given(DISABLED).is_some_and(|(_, value)| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        match given(EXPORTER) {
            Some((_, value)) if value == "none" => return Ok(None),
            Some((_, value)) if value == "otlp" => {}
            Some(other) => return Err(impossible(other, "use otlp or none")),
            None => {}
        }
        if let Some(protocol) = given(TRACES_PROTOCOL).or_else(|| given(PROTOCOL)).filter(|(_, value)| value != "grpc")
        {
            return Err(impossible(
                protocol,
                "traces are sent by grpc only: use grpc, and the collector's port for it, such as 4317",
            ));
        }
        if endpoint.1.starts_with("https://") {
            return Err(impossible(
                endpoint,
                "traces are sent without TLS: use a collector on this machine, such as http://127.0.0.1:4317, which can send them on with TLS",
            ));
        }
        if !is_address(&endpoint.1) {
            return Err(impossible(endpoint, "use an address such as http://127.0.0.1:4317"));
        }
        let share = share(given(SAMPLER), given(SAMPLER_ARG))?;
        Ok(Some(Self { endpoint: endpoint.1, share, service: given(SERVICE).map(|(_, name)| name) }))
    }
}

/// Whether this is an address of a collector.
fn is_address(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address lie in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let is_host =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte));
    is_port && is_host
}

/// The share of trajectories that a sampler takes. Whether a sampler asks its parent makes no difference: the worker always does, and
/// the coordinator has none.
fn share(
    sampler: Option<(&'static str, String)>,
    argument: Option<(&'static str, String)>,
) -> Result<TracedShare, SettingsError> {
    let name = sampler.as_ref().map_or("always_on", |(_, name)| name);
    let fixed = match name.strip_prefix("parentbased_").unwrap_or(name) {
        "always_on" => TracedShare::ALL,
        "always_off" => TracedShare::NONE,
        "traceidratio" => {
            let Some(argument) = argument else { return Ok(TracedShare::ALL) };
            let share = argument.1.parse().ok().and_then(TracedShare::new);
            return share.ok_or_else(|| impossible(argument, "use a share of trajectories from 0 to 1, such as 0.1"));
        }
        _ => {
            let takes = "use traceidratio with a share in OTEL_TRACES_SAMPLER_ARG, always_on or always_off, each also with \
                         parentbased_ before it";
            return Err(impossible(sampler.unwrap_or_default(), takes));
        }
    };
    match argument {
        Some(argument) => {
            Err(impossible(argument, "set also OTEL_TRACES_SAMPLER=traceidratio; other samplers take no argument"))
        }
        None => Ok(fixed),
    }
}

fn impossible((variable, value): (&'static str, String), takes: &'static str) -> SettingsError {
    SettingsError { variable, value, takes }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLLECTOR: (&str, &str) = (ENDPOINT, "http://127.0.0.1:4317");

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
        Settings::read(|name| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn without_a_collector_nothing_is_sent_and_nothing_is_checked() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[(ENDPOINT, ""), (SAMPLER, "whatever")]), Ok(None));
        assert_eq!(read(&[COLLECTOR, (DISABLED, "True")]), Ok(None));
        assert_eq!(read(&[COLLECTOR, (EXPORTER, "none")]), Ok(None));
    }

    #[test]
    fn the_address_for_traces_comes_first_and_every_trajectory_is_traced() {
        let settings = read(&[COLLECTOR, (TRACES_ENDPOINT, "http://collector.example"), (SERVICE, "mine")]);
        let expected = Settings {
            endpoint: "http://collector.example".to_owned(),
            share: TracedShare::ALL,
            service: Some("mine".to_owned()),
        };
        assert_eq!(settings, Ok(Some(expected)));
    }

    #[test]
    fn an_address_is_http_with_a_host() {
        let addresses = [
            ("http://localhost:4317", true),
            ("http://[::1]:4317", true),
            ("http://[::1]", true),
            ("collector:4317", false),
            ("http://", false),
            ("http://:4317", false),
            ("http://host:port", false),
            ("http://host:0", false),
            ("http://host:65536", false),
            ("http://a host", false),
            ("grpc://host:4317", false),
            ("", false),
        ];
        for (address, expected) in addresses {
            assert_eq!(is_address(address), expected, "{address}");
        }
        let error = read(&[(ENDPOINT, "https://collector.example")]).expect_err("it has TLS").to_string();
        assert!(error.contains("without TLS"), "{error}");
        let error = read(&[(ENDPOINT, "collector:4317")]).expect_err("no address").to_string();
        assert!(
            error.contains(ENDPOINT) && error.contains("`collector:4317`") && error.contains("http://127"),
            "{error}"
        );
    }

    #[test]
    fn samplers_with_the_standard_names_are_known_and_others_are_refused_by_name() {
        let share = |variables: &[(&'static str, &'static str)]| {
            read(&[&[COLLECTOR], variables].concat()).map(|settings| settings.expect("a collector").share)
        };
        let tenth = TracedShare::new(0.1).expect("a share");
        assert_eq!(share(&[(SAMPLER, "traceidratio"), (SAMPLER_ARG, "0.1")]), Ok(tenth));
        assert_eq!(share(&[(SAMPLER, "parentbased_traceidratio"), (SAMPLER_ARG, "0")]), Ok(TracedShare::NONE));
        assert_eq!(share(&[(SAMPLER, "traceidratio")]), Ok(TracedShare::ALL));
        assert_eq!(share(&[(SAMPLER, "parentbased_always_off")]), Ok(TracedShare::NONE));
        assert_eq!(share(&[(SAMPLER, "always_on"), (SAMPLER_ARG, "")]), Ok(TracedShare::ALL));
        for refused in ["jaeger_remote", "parentbased_", "0.1"] {
            let error = share(&[(SAMPLER, refused)]).expect_err(refused).to_string();
            assert!(error.contains(refused) && error.contains("traceidratio"), "{error}");
        }
        for refused in ["1.5", "-1", "NaN", "ten"] {
            let error = share(&[(SAMPLER, "traceidratio"), (SAMPLER_ARG, refused)]).expect_err(refused).to_string();
            assert!(error.contains(SAMPLER_ARG) && error.contains(refused), "{error}");
        }
        let error = share(&[(SAMPLER_ARG, "0.1")]).expect_err("without a sampler").to_string();
        assert!(error.contains("OTEL_TRACES_SAMPLER=traceidratio"), "{error}");
    }

    #[test]
    fn another_protocol_or_exporter_is_refused() {
        for (variable, value) in [(PROTOCOL, "http/protobuf"), (TRACES_PROTOCOL, "http/json"), (EXPORTER, "zipkin")] {
            let error = read(&[COLLECTOR, (variable, value)]).expect_err(value);
            assert_eq!((error.variable, &*error.value), (variable, value));
        }
        assert!(read(&[COLLECTOR, (PROTOCOL, "grpc"), (EXPORTER, "otlp")]).is_ok_and(|settings| settings.is_some()));
    }
}
