//! Names that are long, look like HTML, or are written from right to left.

use biosweep_tests::browser::keys;
use serde_json::json;

use crate::page::site::{SPEC, Site, browser, pictures};
use crate::page::worker::Worker;

/// Names of sweeps and workers. The name of a sweep has no slash.
const NAMES: [(&str, &str); 4] = [
    (
        "long",
        "WmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmW",
    ),
    ("html", "<script>alert(1)<script>\"'><img src=x onerror=alert(2)>&amp;"),
    ("right-to-left", "ניסוי ראשון تجربة"),
    ("mark", "abc\u{200f}gnp.exe"),
];
/// A name that only a worker can have.
const CLOSED: &str = "<script>alert(1)</script>\"'";

#[test]
fn names_are_shown_as_text_and_break_nothing() {
    let Some(browser) = browser() else { return };
    let site = Site::named("first", CLOSED);
    let mut workers = vec![Worker::connect(&site.cluster.url(), CLOSED)];
    for (_, name) in NAMES {
        let spec = site.cluster.home().spec(&SPEC.replacen("\"small\"", &json!(name).to_string(), 1));
        let _sweep = site.cluster.json(&["submit", &spec.to_string_lossy()]);
        workers.push(Worker::connect(&site.cluster.url(), name));
    }
    // The sweeps have the same trials, so that one worker trains for all of them.
    let _in_training = workers[0].take();
    for width in [390, 1280] {
        browser.resize(width, 844);
        browser.open(&site.url("/"));
        let links = browser.value("Array.from(document.querySelectorAll('#sweeps th a'), (link) => link.href)");
        let texts = browser.value("Array.from(document.querySelectorAll('bdi'), (name) => name.textContent)");
        for (_, name) in NAMES.iter().chain(&[("closed", CLOSED)]) {
            assert!(texts.as_array().expect("a list").iter().any(|text| text == name), "{name} in {texts}");
        }
        let pages = links.as_array().expect("a list").iter().map(|link| link.as_str().expect("an address"));
        let pages = pages.flat_map(|link| {
            ["", "/curves", "/axes", "/findings", "/trials/0", "/compare?trial=0&trial=1"]
                .map(|page| format!("{link}{page}"))
        });
        for (number, url) in [site.url("/")].into_iter().chain(pages).enumerate() {
            browser.open(&url);
            let _opened =
                browser.value("document.querySelectorAll('details.part').forEach((one) => { one.open = true; })");
            let is_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
            assert_eq!(browser.value(is_wide), false, "{url} is wider than {width} pixels");
            // Only the page's own script and pictures.
            let foreign =
                "document.querySelectorAll('main script, img[src=x], [onerror]').length + document.scripts.length";
            assert_eq!(browser.value(foreign), 1, "{url}");
            assert_eq!(browser.complaints(), Vec::<String>::new(), "{url}");
            if let Some(folder) = pictures().filter(|_| number % 6 < 2) {
                browser.picture(&folder.join(format!("names-{number}-{width}.png")));
            }
        }
        // Nor is a text in an address anything else.
        browser.open(&site.of_sweep("?where=%3Cscript%3Ealert(1)%3C/script%3E"));
        assert_eq!(browser.text("document.querySelector('h1').textContent"), "Not understood");
        browser.open(&site.of_sweep(""));
        browser.write("#jump", &format!("<img src=x onerror=alert(1)>{}", keys::ENTER));
        browser.until("the mistake is shown", "document.querySelector('h1')?.textContent === 'Not found'");
        let _expected = browser.complaints();
    }
}
