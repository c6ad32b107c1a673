//! What the server runs for the bridge.

use redis::{Cmd, Script};

use super::server::Connection;
use crate::LinkError;

/// A script. The server knows it by its hash once it was loaded, until it is started again: then the connection is
/// another, too.
#[derive(Debug)]
pub(super) struct Lua {
    script: Script,
    text: &'static str,
}

impl Lua {
    pub(super) fn add() -> Self {
        Self::new(include_str!("lua/add.lua"))
    }

    pub(super) fn done() -> Self {
        Self::new(include_str!("lua/done.lua"))
    }

    pub(super) fn dead() -> Self {
        Self::new(include_str!("lua/dead.lua"))
    }

    pub(super) fn claim() -> Self {
        Self::new(include_str!("lua/claim.lua"))
    }

    fn new(text: &'static str) -> Self {
        Self { script: Script::new(text), text }
    }

    /// Has the server know it.
    pub(super) async fn load(&self, connection: &mut Connection) -> Result<(), LinkError> {
        connection.load(&self.script, self.text).await
    }

    /// A call of it.
    pub(super) fn call(&self, keys: &[&str]) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.script.get_hash()).arg(keys.len()).arg(keys);
        command
    }
}
