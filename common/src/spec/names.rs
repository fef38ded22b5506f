//! The known name nearest to one that is not known.

/// With a likely name at hand, a list longer than this hides more than it helps.
const LISTED_MAX: usize = 8;

/// What to write in place of an unknown name.
pub(super) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, &known) {
        Some(nearest) if known.len() > LISTED_MAX => format!("did you mean `{nearest}`?"),
        Some(nearest) => format!("did you mean `{nearest}`? known: {}", known.join(", ")),
        None => format!("known: {}", known.join(", ")),
    }
}

/// The name that differs least, if it differs little enough to be a slip of the hand.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase().replace('-', "_");
    let slips_max = (name.chars().count() / 3).max(1);
    let slips = |known: &&str| strsim::osa_distance(&name, &known.replace('-', "_"));
    known.iter().copied().filter(|known| slips(known) <= slips_max).min_by_key(slips)
}
