//! Gives this package, and no other, the model checker's face.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(loom)");
    // The library's own, which are never on here.
    println!("cargo::rustc-check-cfg=cfg(feature, values(\"serde\", \"tracing\"))");
    println!("cargo::rustc-cfg=loom");
}
