//! A script that Redis knows by its hash.
//!
//! redis-rs's own invocation puts each argument in a vector before it makes the command of them: thirty allocations
//! for each event.

use std::fmt::Display;

use deadpool_redis::redis::{Cmd, RedisResult, RedisWrite, Script, ToRedisArgs, Value, pipe};

use super::link::RedisLink;

/// A script that is called by its hash.
pub(super) struct HashedScript(Script);

impl HashedScript {
    pub(super) fn new(text: &str) -> Self {
        Self(Script::new(text))
    }

    /// A call of the script with one key, to which its arguments are to be added: so many of about so many bytes.
    pub(super) fn call(&self, key: impl Display, arguments: usize, bytes: usize) -> Cmd {
        let hash = self.0.get_hash();
        let mut call = Cmd::with_capacity(4 + arguments, "EVALSHA".len() + hash.len() + 1 + bytes);
        call.arg("EVALSHA").arg(hash).arg(1).arg(Text(key));
        call
    }

    /// Makes a call once more that Redis did not know the script of, with the script itself: in one transaction, so that
    /// it cannot be forgotten between the two. In a Cluster that is the node of the call's key.
    pub(super) async fn load_and_call(&self, call: Cmd, connection: &mut RedisLink) -> RedisResult<Value> {
        let mut both = pipe();
        both.atomic().load_script(&self.0).ignore().add_command(call);
        both.query_async(connection).await.map(|(reply,)| reply)
    }
}

/// An argument in the text that it is displayed as.
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> ToRedisArgs for Text<T> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        out.write_arg_fmt(&self.0);
    }
}

/// The same, empty if there is none: redis-rs leaves out what is [`None`], and so moves all arguments after it.
pub(super) struct TextOrNothing<T>(pub(super) Option<T>);

impl<T: Display> ToRedisArgs for TextOrNothing<T> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        match &self.0 {
            Some(value) => out.write_arg_fmt(value),
            None => out.write_arg(b""),
        }
    }
}
