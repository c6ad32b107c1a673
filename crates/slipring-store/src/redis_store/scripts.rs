//! What the server runs for the store.

use redis::Script;

/// A script.
pub(super) struct Lua {
    script: Script,
    text: String,
}

impl Lua {
    fn new(text: String) -> Self {
        Self { script: Script::new(&text), text }
    }

    /// One that stands alone.
    fn whole(text: &str) -> Self {
        Self::new(text.to_owned())
    }

    /// One that writes. The server refuses it as a whole where it takes no writes: for want of memory, or of a disk.
    fn writing(text: &str) -> Self {
        Self::new(["#!lua\n", include_str!("lua/prelude.lua"), text].concat())
    }

    /// One that only reads, also where the server takes no writes.
    fn reading(text: &str) -> Self {
        Self::new(["#!lua flags=no-writes\n", include_str!("lua/prelude.lua"), text].concat())
    }

    /// Its name on the server.
    pub(super) fn hash(&self) -> &str {
        self.script.get_hash()
    }

    /// What it says.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// All of them.
pub(super) struct Scripts {
    pub open: Lua,
    pub commit: Lua,
    pub drop: Lua,
    pub expire: Lua,
    pub touch: Lua,
    pub bounds: Lua,
    pub read: Lua,
    pub fetch: Lua,
    pub stream: Lua,
    pub version: Lua,
    pub value: Lua,
    pub values: Lua,
    pub topics: Lua,
    pub segments: Lua,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            open: Lua::whole(include_str!("lua/open.lua")),
            commit: Lua::writing(include_str!("lua/commit.lua")),
            drop: Lua::writing(include_str!("lua/drop.lua")),
            expire: Lua::writing(include_str!("lua/expire.lua")),
            touch: Lua::writing(include_str!("lua/touch.lua")),
            bounds: Lua::reading(include_str!("lua/bounds.lua")),
            read: Lua::reading(include_str!("lua/read.lua")),
            fetch: Lua::reading(include_str!("lua/fetch.lua")),
            stream: Lua::reading(include_str!("lua/stream.lua")),
            version: Lua::reading(include_str!("lua/version.lua")),
            value: Lua::reading(include_str!("lua/value.lua")),
            values: Lua::reading(include_str!("lua/values.lua")),
            topics: Lua::reading(include_str!("lua/topics.lua")),
            segments: Lua::reading(include_str!("lua/segments.lua")),
        }
    }
}
