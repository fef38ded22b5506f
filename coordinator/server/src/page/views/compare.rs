//! A few trials side by side: what differs, and their learning curves.

use askama::Template;
use axum::extract::{Path, Query, RawQuery, State};
use axum::response::Response;
use biosweep_analysis::figures::selected_curves;
use biosweep_common::configuration::Point;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::spec::SweepSpec;
use biosweep_common::vocabulary::ids::{SweepId, TrialIndex};

use super::head::Head;
use super::trial::Found;
use super::{Frame, Size, Turn, compute, html, svg};
use crate::page::Page;
use crate::page::error::PageError;
use crate::queries::{self, Lookup};

/// Numbers of trials that can be compared.
const TRIALS: std::ops::RangeInclusive<usize> = 2..=6;

#[derive(Template)]
#[template(path = "page/compare.html")]
struct ComparePage {
    frame: Frame,
    head: Head,
    trials: Vec<u64>,
    /// Name and values of each setting that differs.
    different: Vec<(&'static str, Vec<String>)>,
    /// The same for results.
    results: Vec<(String, Vec<String>)>,
    same: Vec<(&'static str, String)>,
    figure: String,
}

/// The trials that an address names, as `trial=1&trial=2`.
fn wanted(query: Option<&str>) -> Result<Vec<TrialIndex>, PageError> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut trials = Vec::new();
    for (_, value) in pairs.filter(|(name, _)| name == "trial") {
        let number =
            value.parse().map_err(|_| PageError::BadRequest(format!("`{value}` is not the number of a trial")))?;
        if !trials.contains(&TrialIndex(number)) {
            trials.push(TrialIndex(number));
        }
    }
    match TRIALS.contains(&trials.len()) {
        true => Ok(trials),
        false => Err(PageError::BadRequest(format!(
            "{} trials are selected; select {} to {} of them in the table of results",
            trials.len(),
            TRIALS.start(),
            TRIALS.end()
        ))),
    }
}

async fn read(page: &Page, sweep: &str, query: Option<&str>) -> Result<(SweepId, SweepSpec, Vec<Found>), PageError> {
    let trials = wanted(query)?;
    let handle = &page.commands.handle;
    let id = queries::resolve(handle, sweep, Lookup::Read).await?;
    let spec = queries::spec(handle, id).await?;
    if let Some(trial) = trials.iter().find(|trial| trial.0 >= spec.grid.trials()) {
        return Err(PageError::BadRequest(format!("the sweep has no trial {trial}")));
    }
    let mut found = Vec::new();
    for trial in trials {
        found.push(Found::read(handle, id, &spec, trial).await?);
    }
    Ok((id, spec, found))
}

/// `GET /sweeps/{sweep}/compare?trial=…`.
pub(in crate::page) async fn compare(
    State(page): State<Page>,
    _turn: Turn,
    Path(sweep): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let mut frame = Frame::new(&page, "");
    let (id, spec, found) = read(&page, &sweep, query.as_deref()).await?;
    let head = Head::of(&page, id, Some(&spec), "/compare").await?;
    (frame.title, frame.sweep) = (format!("{} trials of {}", found.len(), head.name), id.to_string());
    let points: Vec<Point> = found.iter().filter_map(|found| spec.grid.point(found.index)).collect();
    let text = |value: Option<&Value>| value.map_or_else(|| "–".to_owned(), Value::short);
    let (mut different, mut same) = (Vec::new(), Vec::new());
    for &setting in Setting::ALL {
        let values: Vec<String> = points.iter().map(|point| text(point.get(&setting))).collect();
        if points.iter().all(|point| !point.contains_key(&setting)) {
            continue;
        }
        match values.iter().all(|value| *value == values[0]) {
            true => same.push((setting.name(), values[0].clone())),
            false => different.push((setting.name(), values)),
        }
    }
    let trials: Vec<u64> = found.iter().map(|found| found.index.0).collect();
    let mut parameters: Vec<String> = trials.iter().map(|trial| format!("trial={trial}")).collect();
    // A browser loads the figure again only if its address is another one.
    parameters.extend(found.iter().filter_map(|found| Some(format!("ended={}", found.result.as_ref()?.attempts))));
    let figure = format!("/sweeps/{id}/compare/curves.svg?{}", parameters.join("&"));
    let page = ComparePage { frame, head, trials, different, results: results(&found), same, figure };
    Ok(html(&page))
}

/// The facts of all trials, a row each.
fn results(found: &[Found]) -> Vec<(String, Vec<String>)> {
    let facts: Vec<Vec<(&str, String)>> = found.iter().map(Found::facts).collect();
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in facts.iter().flatten() {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let value = |facts: &Vec<(&str, String)>, name: &str| {
        facts.iter().find(|(other, _)| *other == name).map_or_else(|| "–".to_owned(), |(_, value)| value.clone())
    };
    let status = ("status".to_owned(), found.iter().map(Found::status).collect());
    let rows = names.into_iter().map(|name| (name.to_owned(), facts.iter().map(|facts| value(facts, name)).collect()));
    [status].into_iter().chain(rows).collect()
}

/// `GET /sweeps/{sweep}/compare/curves.svg`.
pub(in crate::page) async fn figure(
    State(page): State<Page>,
    _turn: Turn,
    Path(sweep): Path<String>,
    RawQuery(query): RawQuery,
    Query(size): Query<Size>,
) -> Result<Response, PageError> {
    let (_, _, found) = read(&page, &sweep, query.as_deref()).await?;
    Ok(compute(move || {
        let curves = found.iter().filter_map(|found| Some((found.index, &found.trained.as_ref()?.curve)));
        let named: Vec<_> = curves.map(|(index, curve)| (format!("trial {index}"), vec![curve])).collect();
        svg(&selected_curves("Learning curves", &named, size.width()))
    })
    .await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_to_six_different_trials_are_compared() {
        let numbers = |query| wanted(query).map(|trials| trials.iter().map(|trial| trial.0).collect::<Vec<_>>());
        assert_eq!(numbers(Some("trial=3&x=1&trial=1&trial=3")).expect("two"), [3, 1]);
        for query in [None, Some("trial=1"), Some("trial=1&trial=1"), Some("trial=x&trial=1"), Some("trial=-1&trial=2")]
        {
            numbers(query).expect_err("not two trials");
        }
        let seven: Vec<String> = (0..7).map(|trial| format!("trial={trial}")).collect();
        let why = numbers(Some(&seven.join("&"))).expect_err("too many").to_string();
        assert!(why.contains("select 2 to 6"), "{why}");
    }
}
