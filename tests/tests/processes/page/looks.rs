//! Every page opens without a complaint, loads nothing from elsewhere, and meets WCAG 2.1 AA.

use biosweep_tests::browser::Browser;

use crate::page::site::{DIVERGED, FAILED, Site, browser, pictures};
use crate::page::worker::Worker;

/// Colours, width and height.
const LOOKS: [(&str, u32, u32); 3] = [("light", 1280, 1000), ("dark", 1280, 1000), ("light", 390, 844)];

/// The name and the address of every page.
fn pages(site: &Site) -> Vec<(&'static str, String)> {
    vec![
        ("overview", site.url("/")),
        ("results", site.of_sweep("?open=0,1,4")),
        ("filtered", site.of_sweep("?where=rule%3Dbp&status=failed&sort=-test")),
        ("curves", site.of_sweep("/curves")),
        ("axes", site.of_sweep("/axes")),
        ("findings", site.of_sweep("/findings")),
        ("trial", site.of_sweep("/trials/0")),
        ("failed-trial", site.of_sweep(&format!("/trials/{FAILED}"))),
        ("compare", site.of_sweep(&format!("/compare?trial=0&trial=1&trial={DIVERGED}"))),
        ("mistake", site.of_sweep("?where=rule%3Dmagic")),
    ]
}

/// What is wrong with the page that is open.
fn faults(browser: &Browser, site: &Site) -> Vec<String> {
    let mut faults = browser.complaints();
    let foreign = browser.text(&format!(
        "performance.getEntriesByType('resource').map((one) => one.name).filter((name) => \
         !name.startsWith('{}/')).join(' ')",
        site.cluster.url()
    ));
    if !foreign.is_empty() {
        faults.push(format!("it loads {foreign}"));
    }
    if browser.text("document.querySelector('h1')?.innerText.trim()").is_empty() {
        faults.push("it has no heading".to_owned());
    }
    if browser.value("document.documentElement.scrollWidth > document.documentElement.clientWidth") == true {
        faults.push("it is wider than the window".to_owned());
    }
    if browser.value("Array.from(document.images).some((one) => !one.complete || one.naturalWidth === 0)") == true {
        faults.push("a picture is missing".to_owned());
    }
    faults.extend(browser.violations());
    faults
}

/// Opens each list of values and each question, one after the other.
fn opened_lists_are_sound(browser: &Browser, look: &str) {
    let lists = "document.querySelectorAll('details.command, details.choice')";
    let count = browser.value(&format!("{lists}.length")).as_u64().expect("a number");
    assert_eq!(count, 3 + 5, "commands and choices");
    for number in 0..count {
        let _opened = browser.value(&format!("{lists}.forEach((one, place) => {{ one.open = place === {number}; }})"));
        let name = browser.text("document.querySelector('details.command[open], details.choice[open]').id");
        let right = "document.querySelector('details.command[open] > form, details.choice[open] > ul')\
                     .getBoundingClientRect().right - document.documentElement.clientWidth";
        let beyond = browser.value(right).as_f64().expect("pixels");
        if let Some(folder) = pictures() {
            browser.picture(&folder.join(format!("open-{name}-{look}.png")));
        }
        assert!(beyond <= 0.0, "{name} ends {beyond} pixels beyond the window, {look}");
        if ["command-cancel", "filter-status"].contains(&name.as_str()) {
            assert_eq!(browser.violations(), Vec::<String>::new(), "{name}, {look}");
        }
    }
}

#[test]
fn the_faults_of_a_page_are_found() {
    let Some(browser) = browser() else { return };
    let site = Site::start();
    browser.open(&site.url("/"));
    assert_eq!(faults(&browser, &site), Vec::<String>::new());
    let _spoiled = browser.value(
        "document.querySelector('main').insertAdjacentHTML('beforeend', \
         '<img src=\"/missing.png\"><img alt=\"\" src=\"http://127.0.0.1:9/foreign.png\"><div class=\"wide\"></div>\
         <p id=\"long\">pale</p>')",
    );
    let _wide = browser.value("(document.querySelector('#long').style.width = '2000px')");
    let _pale = browser.value("(document.querySelector('#long').style.color = '#eee')");
    let _no_heading = browser.value("document.querySelector('h1').remove()");
    browser.until("nothing more is loaded", "Array.from(document.images).every((one) => one.complete)");
    let found = faults(&browser, &site).join("\n");
    for fault in [
        "404 (Not Found)",
        "Content Security Policy",
        "a picture is missing",
        "wider than the window",
        "no heading",
        "image-alt",
        "color-contrast",
    ] {
        assert!(found.contains(fault), "{fault} is not in {found}");
    }
}

#[test]
fn every_page_is_sound_in_light_in_dark_and_on_a_phone() {
    let Some(browser) = browser() else { return };
    let site = Site::start();
    let mut worker = Worker::connect(&site.cluster.url(), "worker-2");
    let _in_training = worker.take();
    for (scheme, width, height) in LOOKS {
        browser.prefer(scheme);
        browser.resize(width, height);
        for (name, url) in pages(&site) {
            browser.open(&url);
            browser.until("everything is loaded", "document.readyState === 'complete'");
            // All details are opened, so that they are checked too.
            let _opened =
                browser.value("document.querySelectorAll('details.part').forEach((one) => { one.open = true; })");
            let mut found = faults(&browser, &site);
            // The address of the mistake is answered with 400, which Chromium prints.
            found.retain(|fault| name != "mistake" || !fault.contains("400 (Bad Request)"));
            assert!(found.is_empty(), "{name}, {scheme}, {width} pixels: {}", found.join("\n"));
            if let Some(folder) = pictures() {
                browser.picture(&folder.join(format!("{name}-{scheme}-{width}.png")));
            }
            if name == "compare" {
                // Names have room, though keys are long.
                let widths = "Array.from(document.querySelectorAll('#compared tbody th'), (name) => name.clientWidth)";
                let least = browser.value(&format!("Math.min(...{widths})")).as_f64().expect("pixels");
                assert!(least >= 100.0, "the names of a comparison have {least} pixels, {width}");
            }
            if name == "results" {
                opened_lists_are_sound(&browser, &format!("{scheme}-{width}"));
            }
        }
    }
}
