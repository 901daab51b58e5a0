//! Which parked messages a page's address means.

use maud::{Markup, html};

use crate::console::web::{FormFields, Refusal};
use crate::domain::provider::ProviderId;
use crate::operator::parked::filter::{Filter, Selection};
use crate::operator::parked_of;
use crate::operator::when::when;

/// The names of a filter's fields, as the command line's options are called.
pub(super) const FILTER: [&str; 9] =
    ["provider", "account", "reason", "fingerprint", "delivery", "event", "since", "until", "error"];

/// The filter that the fields say.
pub(super) fn filter(fields: &FormFields) -> Result<Filter, Refusal> {
    let texts = |name| fields.all(name).map(str::to_owned).collect::<Vec<_>>();
    let time = |name: &'static str| {
        let time = fields.get(name).map(when).transpose();
        time.map_err(|hint| Refusal::bad(format!("{name}: {hint}.")))
    };
    let providers = fields.all("provider").map(parked_of).collect::<Result<_, _>>();
    let accounts = fields.all("account").map(str::parse).collect::<Result<_, _>>();
    Ok(Filter {
        provider: providers.map_err(|hint| Refusal::bad(format!("provider: {hint}.")))?,
        account: accounts.map_err(|_| Refusal::bad("account: that is no account's name."))?,
        reason: texts("reason"),
        fingerprint: texts("fingerprint"),
        delivery: texts("delivery"),
        event: texts("event"),
        since: time("since")?,
        until: time("until")?,
        error: fields.get("error").map(str::to_owned),
    })
}

/// The messages of one provider that the fields mean: an act is about one queue.
pub(super) fn selection(fields: &FormFields) -> Result<(ProviderId, Selection), Refusal> {
    let filter = filter(fields)?;
    let [provider] = filter.provider[..] else {
        return Err(Refusal::bad("Choose one provider: an act is about one parked queue."));
    };
    let ids: Vec<_> = fields.all("id").map(str::to_owned).collect();
    // Nothing said but the provider is all of its messages, and is said in so many words.
    let all = ids.is_empty() && fields.get("all").is_some();
    let narrowed = Filter { provider: Vec::new(), ..filter.clone() };
    if ids.is_empty() && !all && narrowed.is_empty() {
        return Err(Refusal::bad("Select messages, or say which ones with a filter."));
    }
    Ok((provider, Selection { ids, all, filter }))
}

/// The same fields again, in a form.
pub(super) fn hidden(fields: &FormFields) -> Markup {
    html! { @for name in FILTER.into_iter().chain(["id", "all"]) { @for value in fields.all(name) {
        input type="hidden" name=(name) value=(value);
    } } }
}
