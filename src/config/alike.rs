//! Names that are almost one of ours: a key or a variable with a misprint would otherwise be a riddle, or nothing at all.

use super::layers::{FILE_VARIABLE, GENERAL_PREFIX, SHORT_VARIABLES};
use super::sections::Sections;

/// Misprints that a variable's name may have to count as meant for ours: one swap, or two other keys hit.
const MOST_MISPRINTS: usize = 2;

/// The known name that `name` is probably meant to be: one third of it may be wrong.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let within = (name.len() / 3).max(1);
    let by_distance = known.map(|known| (strsim::osa_distance(name, known), known));
    by_distance
        .filter(|(distance, _)| *distance <= within)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// The variable that `name`, which is none of ours, is probably meant to be. Kubernetes injects variables that begin
/// like ours, and those are no mistake.
pub(super) fn variable(name: &str) -> Option<String> {
    let ours = || SHORT_VARIABLES.iter().map(|(short, _)| *short).chain([FILE_VARIABLE]);
    let upper = name.to_ascii_uppercase();
    if upper != name && (upper.starts_with(GENERAL_PREFIX) || ours().any(|ours| ours == upper)) {
        return Some(upper);
    }
    let meant = ours().find(|ours| strsim::osa_distance(&upper, ours) <= MOST_MISPRINTS);
    meant.map(str::to_owned).or_else(|| underscored(&upper))
}

/// `MILEPOST_WORKER_PREFETCH` for `MILEPOST__WORKER__PREFETCH`.
fn underscored(name: &str) -> Option<String> {
    let rest = name.strip_prefix("MILEPOST_")?.replace("__", "_");
    let general = |(section, key): (&str, &str)| {
        let [section, key] = [section, key].map(str::to_ascii_uppercase);
        (rest == format!("{section}_{key}")).then(|| format!("{GENERAL_PREFIX}{section}__{key}"))
    };
    let keys =
        Sections::KEYS.into_iter().flat_map(|(section, keys)| keys.iter().map(move |key| (section, *key)));
    keys.into_iter().find_map(general)
}
