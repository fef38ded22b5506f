//! The table of results: filter, order, pages, replicates, comparison, and jumps to trials.

use std::collections::BTreeSet;

use biosweep_tests::browser::{Browser, keys};

use crate::page::site::{Site, browser, key};
use crate::page::worker::Worker;

/// The numbers of the rows, in their order.
fn rows(browser: &Browser) -> Vec<String> {
    let rows = browser.value("Array.from(document.querySelectorAll('.cells > tbody > tr[id]'), (row) => row.id)");
    let rows = rows.as_array().expect("a list").iter();
    rows.map(|row| row.as_str().expect("an id").to_owned()).collect()
}

/// What the table says about itself.
fn shown(browser: &Browser) -> String {
    browser.text("document.querySelector('.note.shown').textContent")
}

/// The values of a column, from 1 on.
fn column(browser: &Browser, place: usize) -> Vec<String> {
    let cells = browser.value(&format!(
        "Array.from(document.querySelectorAll('.cells > tbody > tr[id] > :nth-child({place})'), (cell) => \
         cell.textContent)"
    ));
    cells.as_array().expect("a list").iter().map(|cell| cell.as_str().expect("a text").to_owned()).collect()
}

#[test]
fn the_text_and_the_choices_filter_and_the_address_restores_the_view() {
    let Some(browser) = browser() else { return };
    let site = Site::start();
    browser.open(&site.of_sweep(""));
    assert_eq!(shown(&browser), "1–50 of 72 configurations");
    browser.write("#where", &format!("rule=fa{}", keys::ENTER));
    browser.until("the filter is in the address", "location.search.includes('where=rule%3Dfa')");
    assert_eq!(shown(&browser), "24 configurations");
    browser.click("#filter-depth > summary");
    browser.click("#filter-depth li:nth-child(2) > a");
    browser.until("the choice is in the address", "location.search.includes('depth%3D3')");
    assert_eq!(shown(&browser), "8 configurations");
    assert_eq!((column(&browser, 3), column(&browser, 4)), (vec!["fa".to_owned(); 8], vec!["3".to_owned(); 8]));
    browser.click("#filter-status > summary");
    browser.click("#filter-status li:nth-child(2) > a");
    browser.until("the status is in the address", "location.search.includes('status=completed')");
    browser.click("thead th:nth-child(6) > a");
    browser.until("the order is in the address", "location.search.includes('sort=')");
    let (address, seen) = (browser.text("location.href"), rows(&browser));
    assert_eq!(seen.len(), 8);

    browser.open("about:blank");
    browser.open(&address);
    assert_eq!(rows(&browser), seen);
    assert_eq!(browser.text("document.querySelector('#where').value.replaceAll(' ', '')"), "rule=fa,depth=3");
    // Each part of the filter can be removed by itself.
    browser.click(".chips li:nth-child(1) > a");
    browser.until("a part is removed", "document.querySelectorAll('.chips li').length === 1");
    assert_eq!(rows(&browser).len(), 24);
}

#[test]
fn a_click_on_a_heading_sorts_and_another_one_turns_the_order() {
    let Some(browser) = browser() else { return };
    let site = Site::start();
    browser.open(&site.of_sweep(""));
    let sorted = |order: &str| {
        browser.click("thead th:nth-child(6) > a");
        browser.until(order, &format!("document.querySelector('thead th:nth-child(6)').ariaSort === '{order}'"));
        assert_eq!(browser.value("document.querySelectorAll('[aria-sort]').length"), 1);
        let numbers = column(&browser, 6).into_iter().filter_map(|text| text.split(' ').next()?.parse().ok());
        numbers.collect::<Vec<f64>>()
    };
    let best_first = sorted("descending");
    assert_eq!(best_first.len(), 50);
    assert!(best_first.is_sorted_by(|one, next| one >= next), "{best_first:?}");
    let worst_first = sorted("ascending");
    assert!(worst_first.len() >= 49 && worst_first.is_sorted(), "{worst_first:?}");
    assert!(worst_first[0] < best_first[49]);
}

#[test]
fn the_next_page_loses_and_repeats_nothing_while_results_come_in() {
    let Some(browser) = browser() else { return };
    let site = Site::start();
    let mut worker = Worker::connect(&site.cluster.url(), "worker-2");
    let grant = worker.take();
    browser.open(&site.of_sweep(""));
    browser.click("thead th:nth-child(6) > a");
    browser.until("it is sorted", "document.querySelector('[aria-sort]') !== null");
    let first = rows(&browser);
    let next = browser.text("document.querySelector('[rel=next]').href");
    // The last configuration becomes the first one.
    worker.complete(&grant, 0.99);
    browser.until("the result is shown", "document.querySelector('.cells > tbody > tr[id]').id === 'cell-142'");
    browser.open(&next);
    let second = rows(&browser);
    let seen: BTreeSet<&String> = first.iter().chain(&second).collect();
    assert_eq!((first.len(), second.len(), seen.len()), (50, 21, 71));
    assert!(!seen.contains(&"cell-142".to_owned()), "it is on the first page now");
    assert_eq!(shown(&browser), "52–72 of 72 configurations");
    browser.back();
    browser.until("the first page is back", "document.querySelector('.note.shown').textContent.startsWith('1–50 ')");
    browser.open(&next);
    browser.click(".pages > a");
    browser.until("the first page is back", "document.querySelector('.note.shown').textContent.startsWith('1–50 ')");
}

#[test]
fn replicates_open_below_their_configuration_and_two_trials_are_compared() {
    let Some(browser) = browser() else { return };
    let site = Site::start();
    browser.open(&site.of_sweep(""));
    browser.click("#toggle-4");
    browser.until("replicates are shown", "document.querySelector('tr.replicates') !== null");
    assert_eq!(browser.text("document.querySelector('#toggle-4').ariaExpanded"), "true");
    assert_eq!(browser.text("document.querySelector(':target').id"), "cell-4", "the page stays where it was");
    browser.click("#select-4");
    browser.click("#select-5");
    browser.click("form > p > button");
    browser.until("trials are compared", "location.href.endsWith('/compare?trial=4&trial=5')");
    assert_eq!(browser.text("document.querySelector('section h2').textContent"), "2 trials side by side");
    let different =
        "Array.from(document.querySelectorAll('tr.varies'), (row) => row.innerText.replaceAll(/\\s+/g, ' ')).join()";
    assert_eq!(browser.text(different), "seed 0 1");
    browser.back();
    browser.until("the table is back", "document.querySelector('#toggle-4') !== null");
    browser.click("#toggle-4");
    browser.until("replicates are hidden", "document.querySelector('tr.replicates') === null");
}

#[test]
fn a_trial_is_found_by_its_number_and_by_the_start_of_its_key() {
    let Some(browser) = browser() else { return };
    let site = Site::start();
    for (text, trial) in [("17".to_owned(), 17), (key(20).to_string()[..10].to_owned(), 20)] {
        browser.open(&site.of_sweep(""));
        browser.write("#jump", &format!("{text}{}", keys::ENTER));
        browser.until(&text, &format!("location.pathname.endsWith('/trials/{trial}')"));
        assert_eq!(browser.text("document.querySelector('section h2').textContent"), format!("Trial {trial}"));
    }
    browser.open(&site.of_sweep(""));
    browser.write("#jump", &format!("no such key{}", keys::ENTER));
    browser.until("the mistake is shown", "document.querySelector('h1')?.textContent === 'Not found'");
}
