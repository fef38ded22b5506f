//! Pause, resume, retry and cancel by clicks, and the page by keyboard alone.

use biosweep_tests::browser::{Browser, keys};

use crate::page::site::{Site, browser};

const STATE: &str = "document.querySelector('h1 .state').textContent";

/// Opens a command, reads its question and confirms it.
fn confirm(browser: &Browser, command: &str, question: &str) {
    browser.click(&format!("#command-{command} > summary"));
    let asked = browser.text(&format!("document.querySelector('#command-{command} p').innerText"));
    assert!(asked.starts_with(question), "{asked}");
    browser.click(&format!("#command-{command} button"));
}

#[test]
fn commands_are_given_by_clicks_after_a_question() {
    let Some(browser) = browser() else { return };
    let site = Site::start();
    browser.open(&site.of_sweep("?where=rule%3Dbp"));
    // An opened question does nothing yet.
    browser.click("#command-cancel > summary");
    assert_eq!(site.cluster.json(&["show", "small"])["state"], "running");
    confirm(&browser, "pause", "Pause this sweep?");
    browser.until("it is paused", &format!("{STATE} === 'paused'"));
    assert_eq!(site.cluster.json(&["show", "small"])["state"], "paused");
    confirm(&browser, "retry", "Run 1 failed trial again?");
    browser.until("nothing has failed", "document.querySelector('.counts .failed') === null");
    assert_eq!(site.cluster.json(&["show", "small"])["failed"], 0);
    confirm(&browser, "resume", "Resume this sweep? 3 trials left.");
    browser.until("it runs", &format!("{STATE} === 'running'"));
    confirm(&browser, "cancel", "Cancel this sweep for good? 3 trials will not run.");
    browser.until("it is cancelled", &format!("{STATE} === 'cancelled'"));
    assert_eq!(site.cluster.json(&["show", "small"])["state"], "cancelled");
    assert_eq!(browser.value("document.querySelectorAll('.command').length"), 0);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Presses Tab until an element has the focus, which can be seen.
fn tab_to(browser: &Browser, selector: &str) {
    for _ in 0..60 {
        browser.press(keys::TAB);
        if browser.value(&format!("document.activeElement.matches('{selector}')")) == true {
            let outline = browser.text("getComputedStyle(document.activeElement).outlineStyle");
            assert_ne!(outline, "none", "the focus on {selector} can be seen");
            return;
        }
    }
    panic!("Tab does not reach {selector}");
}

#[test]
fn the_keyboard_alone_filters_chooses_and_commands() {
    let Some(browser) = browser() else { return };
    let site = Site::start();
    browser.open(&site.of_sweep(""));
    browser.press(keys::TAB);
    assert_eq!(browser.text("document.activeElement.className"), "skip", "the first stop skips to the content");
    tab_to(&browser, "#where");
    browser.press(&format!("rule=fa{}", keys::ENTER));
    browser.until("the filter is in the address", "location.search.includes('where=rule%3Dfa')");

    tab_to(&browser, "#filter-depth > summary");
    browser.press(keys::ENTER);
    browser.until("the choice is open", "document.querySelector('#filter-depth').open");
    browser.press(keys::TAB);
    assert_eq!(browser.value("document.activeElement.matches('#filter-depth a')"), true);
    browser.press(keys::ESCAPE);
    browser.until("the choice is closed", "!document.querySelector('#filter-depth').open");
    assert_eq!(browser.value("document.activeElement.matches('#filter-depth > summary')"), true);

    browser.open(&site.of_sweep(""));
    tab_to(&browser, "#command-pause > summary");
    browser.press(keys::ENTER);
    browser.until("the question is open", "document.querySelector('#command-pause').open");
    tab_to(&browser, "#command-pause button");
    browser.press(keys::ENTER);
    browser.until("it is paused", &format!("{STATE} === 'paused'"));
}
