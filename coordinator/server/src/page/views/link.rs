//! What the address of a page says: which trials are wanted, in which order, and from which place on.

use std::collections::BTreeSet;

use biosweep_common::configuration::Point;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::settings::assignments;
use biosweep_common::vocabulary::ids::SweepId;
use serde::Deserialize;

use crate::page::error::PageError;
use crate::page::outcomes::{Cursor, Query};

/// The parameters of an address, as texts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::page) struct Params {
    /// Settings that all trials have, such as `rule=fa,depth=5`: what `--where` takes on the command line.
    pub(super) r#where: String,
    /// Only configurations with a trial of this status.
    pub(super) status: String,
    /// The order, such as `-test`.
    pub(super) sort: String,
    /// The place after which the page starts.
    pub(super) after: String,
    /// The cells whose replicates are shown, separated by commas.
    pub(super) open: String,
    /// More parameters of a page, which its links keep.
    #[serde(skip)]
    pub(super) extra: Vec<(&'static str, String)>,
}

impl Params {
    /// What is wanted.
    pub(super) fn query(&self) -> Result<Query, PageError> {
        let status = match self.status.as_str() {
            "" => None,
            name => match TrialStatus::from_name(name) {
                Some(status) => Some(status),
                None => {
                    let why = format!("`{name}` is not a status; one of completed, diverged, failed");
                    return Err(PageError::BadRequest(why));
                }
            },
        };
        let order = match self.sort.as_str() {
            "" => Default::default(),
            sort => sort.parse().map_err(|error| PageError::BadRequest(format!("{error}")))?,
        };
        Ok(Query { settings: self.settings()?, status, order })
    }

    /// The wanted settings.
    pub(super) fn settings(&self) -> Result<Point, PageError> {
        let texts = self.r#where.split(',').map(str::trim).filter(|text| !text.is_empty());
        assignments(texts).map_err(|(text, error)| PageError::BadRequest(format!("the filter `{text}`: {error}")))
    }

    /// The place after which the page starts; `None` at the start.
    pub(super) fn cursor(&self) -> Result<Option<Cursor>, PageError> {
        match self.after.as_str() {
            "" => Ok(None),
            after => match after.parse() {
                Ok(cursor) => Ok(Some(cursor)),
                Err(()) => Err(PageError::BadRequest(format!("`{after}` is not a place in the table"))),
            },
        }
    }

    /// The cells whose replicates are shown.
    pub(super) fn open(&self) -> BTreeSet<u32> {
        self.open.split(',').filter_map(|cell| cell.parse().ok()).collect()
    }

    /// The address of a page of this sweep with these parameters.
    pub(super) fn href(&self, sweep: SweepId, page: &str) -> String {
        let Self { r#where, status, sort, after, open, extra } = self;
        let parameters = [("where", r#where), ("status", status), ("sort", sort), ("after", after), ("open", open)];
        let extra = extra.iter().map(|(name, value)| (*name, value));
        let parameters = parameters.into_iter().chain(extra).map(|(name, value)| (name, value.as_str()));
        href(&format!("/sweeps/{sweep}{page}"), parameters)
    }

    /// The same from the first page on.
    pub(super) fn at_start(&self) -> Self {
        Self { after: String::new(), open: String::new(), ..self.clone() }
    }

    /// The same with another filter.
    pub(super) fn filtered(&self, settings: &Point) -> Self {
        let texts: Vec<String> =
            settings.iter().map(|(setting, value)| format!("{}={value}", setting.name())).collect();
        Self { r#where: texts.join(","), ..self.at_start() }
    }
}

/// An address with those parameters that are not empty.
pub(super) fn href<'a>(path: &str, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.into_iter().filter(|(_, value)| !value.is_empty()));
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use biosweep_common::settings::{Setting, Value};

    use super::*;

    #[test]
    fn an_address_keeps_the_filter_the_order_and_the_place() {
        let params = Params {
            r#where: "rule=fa,depth=5".to_owned(),
            sort: "-test".to_owned(),
            after: "0.5~3".to_owned(),
            ..Params::default()
        };
        let id: SweepId = "01a2287d-7e1c-743f-bf80-a2f53bd46ca7".parse().expect("an id");
        let href = params.href(id, "");
        assert_eq!(href, format!("/sweeps/{id}?where=rule%3Dfa%2Cdepth%3D5&sort=-test&after=0.5%7E3"));
        let query = params.query().expect("good");
        assert_eq!(query.settings.get(&Setting::Depth), Some(&Value::Integer(5)));
        assert_eq!(query.order.to_string(), "-test");
        assert_eq!(params.cursor().expect("good").expect("a place").to_string(), "0.5~3");
        let wider = params.filtered(&Point::from([(Setting::Rule, Value::Name("fa".into()))]));
        assert_eq!((wider.r#where.as_str(), wider.sort.as_str(), wider.after.as_str()), ("rule=fa", "-test", ""));
    }

    #[test]
    fn a_bad_address_says_what_is_wrong() {
        let why = |params: Params| match (params.query(), params.cursor()) {
            (Err(error), _) | (_, Err(error)) => error.to_string(),
            _ => panic!("good"),
        };
        let of_filter = why(Params { r#where: "rule=magic".to_owned(), ..Params::default() });
        assert!(of_filter.contains("`magic` is not one of"), "{of_filter}");
        assert!(why(Params { sort: "beauty".to_owned(), ..Params::default() }).contains("not a column"));
        assert!(why(Params { status: "gone".to_owned(), ..Params::default() }).contains("not a status"));
        assert!(why(Params { after: "x".to_owned(), ..Params::default() }).contains("not a place"));
    }
}
