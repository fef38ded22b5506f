//! An open page follows the coordinator without a reload.

use biosweep_host::clock::Clock;
use biosweep_tests::browser::Browser;
use biosweep_tests::until;

use crate::page::http::{Stream, ask};
use crate::page::site::{Site, browser};
use crate::page::worker;

/// Maximum number of event streams of a coordinator.
const STREAMS_MAX: usize = 128;
/// Seconds in which a change must be shown: the goal is 2, and other tests run at the same time.
const SHOWN_S: f64 = 5.0;

/// Marks the open document. A reload would remove the mark.
fn mark(browser: &Browser) {
    let _mark = browser.value("(document.body.dataset.mark = 'here')");
}

fn is_marked(browser: &Browser) -> bool {
    browser.text("document.body.dataset.mark") == "here"
}

/// Waits until an expression is true, and prints how long that took.
#[expect(clippy::print_stdout, reason = "the measured time is of interest")]
fn shows(browser: &Browser, clock: &Clock, what: &str, expression: &str) {
    let from = clock.seconds();
    browser.until(what, expression);
    let seconds = clock.seconds() - from;
    println!("{what}: shown after {seconds:.2} s");
    assert!(seconds <= SHOWN_S, "{what}: shown after {seconds} s");
}

#[test]
fn the_death_of_a_worker_and_a_pause_are_shown_without_a_reload() {
    let Some(browser) = browser() else { return };
    let (site, clock) = (Site::start(), Clock::start());
    let mut worker = worker::process(&site.cluster.url());
    browser.open(&site.url("/"));
    mark(&browser);
    browser.until("the worker trains", "document.querySelector('#workers .state')?.textContent === 'training'");
    worker.kill().expect("it runs");
    worker.wait().expect("it has ended");
    until("the coordinator knows it", || {
        let workers = site.cluster.json(&["workers"]);
        (workers[0]["connected"] != true).then_some(())
    });
    let is_dead = "!document.querySelector('#workers').textContent.includes('training worker') && \
                   document.querySelector('#workers .state')?.textContent !== 'training'";
    shows(&browser, &clock, "the death of a worker", is_dead);
    let _paused = site.cluster.json(&["pause", "small"]);
    shows(&browser, &clock, "a pause", "document.querySelector('#sweeps .state').textContent === 'paused'");
    assert!(is_marked(&browser), "without a reload");

    browser.open(&site.of_sweep("?open=0"));
    mark(&browser);
    browser.click("#select-1");
    browser.click("#filter-depth > summary");
    browser.click("#causes > summary");
    let _running = site.cluster.json(&["resume", "small"]);
    shows(&browser, &clock, "a resumed sweep", "document.querySelector('h1 .state').textContent === 'running'");
    let kept = "document.querySelector('#select-1').checked && document.querySelector('#filter-depth').open && \
                document.querySelector('#causes').open";
    assert_eq!(browser.value(kept), true, "what is selected and open stays so");
    assert!(is_marked(&browser), "without a reload");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_page_recovers_alone_from_a_crash_of_the_coordinator() {
    let Some(browser) = browser() else { return };
    let (mut site, clock) = (Site::start(), Clock::start());
    browser.open(&site.of_sweep(""));
    mark(&browser);
    browser.until("the stream is open", "performance.getEntriesByType('resource').length > 0");
    site.cluster.kill_coordinator();
    shows(&browser, &clock, "a crash", "document.querySelector('#connection').textContent === 'no connection'");
    site.cluster.serve();
    let _paused = site.cluster.json(&["pause", "small"]);
    // A browser waits three seconds before it connects again, and longer after several failures.
    let from = clock.seconds();
    browser.until("the page is up to date", "document.querySelector('h1 .state').textContent === 'paused'");
    browser.until("the page is connected", "document.querySelector('#connection').textContent === ''");
    println!("a restart: shown after {:.2} s", clock.seconds() - from);
    assert!(is_marked(&browser), "without a reload");
}

#[test]
fn a_hidden_page_closes_its_stream() {
    let Some(browser) = browser() else { return };
    let site = Site::start();
    browser.open(&site.of_sweep(""));
    // All streams but one are taken. The page has the last one, so there is none for others.
    let _others: Vec<Stream> = (1..STREAMS_MAX).map(|_| Stream::open(&site, None)).collect();
    let status = || ask(&site, "GET", "/events", &[("Host", "localhost")]).0;
    until("the page has the last stream", || (status() == 503).then_some(()));
    browser.open_tab();
    until("the hidden page has closed its stream", || (status() == 200).then_some(()));
    let _paused = site.cluster.json(&["pause", "small"]);
    browser.close_tab();
    until("the page has a stream again", || (status() == 503).then_some(()));
    browser.until("what it has missed is shown", "document.querySelector('h1 .state').textContent === 'paused'");
}
