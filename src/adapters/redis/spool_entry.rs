//! An entry of the spool: the fields of a stream's entry.
//!
//! `n` its size as the limits count it, `r` the receipt, `a` the account, `b` the body; `c` the content type, `t` and `s` the
//! trace, where there are any. Whose webhook it is, the key says. `n` and `r` come first: `spool_next.lua` reads them there.

use bytes::Bytes;
use deadpool_redis::redis::Cmd;

use crate::domain::envelope::{Envelope, TraceContext};
use crate::domain::identity::{Account, ReceiptId};
use crate::domain::provider::ProviderId;

/// Adds the fields but for `n`, which the script adds.
pub(super) fn write(webhook: &Envelope, call: &mut Cmd) {
    call.arg("r").arg(webhook.receipt.digits().to_string()).arg("a").arg(webhook.account.as_str());
    let TraceContext { traceparent, tracestate } = &webhook.trace;
    for (field, value) in [("c", &webhook.content_type), ("t", traceparent), ("s", tracestate)] {
        if let Some(value) = value {
            call.arg(field).arg(value);
        }
    }
    call.arg("b").arg(&webhook.body[..]);
}

/// Reads fields and values; `None` when they are no entry.
pub(super) fn read(provider: ProviderId, fields: Vec<Vec<u8>>) -> Option<Envelope> {
    let mut receipt: Option<ReceiptId> = None;
    let mut account: Option<Account> = None;
    let mut body = None;
    let (mut content_type, mut trace) = (None, TraceContext::default());
    let mut fields = fields.into_iter();
    while let (Some(field), Some(value)) = (fields.next(), fields.next()) {
        if field == b"b" {
            body = Some(Bytes::from(value));
            continue;
        }
        let value = String::from_utf8(value).ok()?;
        match &field[..] {
            b"r" => receipt = Some(value.parse().ok()?),
            b"a" => account = Some(value.parse().ok()?),
            b"c" => content_type = Some(value),
            b"t" => trace.traceparent = Some(value),
            b"s" => trace.tracestate = Some(value),
            _ => {}
        }
    }
    Some(Envelope { content_type, trace, ..Envelope::new(receipt?, provider, account?, body?) })
}
