//! One URL that names several hosts, as `amqp://user:password@one:5672,two:5672/vhost` does: the nodes of a cluster.

/// The same URL with each of its hosts alone, in the order in which it names them.
#[must_use]
pub fn each_host(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // A password may have an @ that is not escaped: the last one ends it.
    let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    hosts.split(',').map(|host| format!("{scheme}://{user}{}{path}", host.trim())).collect()
}
