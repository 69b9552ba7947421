//! The binary never asks the C library for a name: linked statically, that library would need itself at run time.

use std::path::Path;

#[test]
fn the_binary_does_not_import_getaddrinfo() {
    assert!(
        !mentions(Path::new(env!("CARGO_BIN_EXE_countersign"))),
        "nm -D says where it is undefined, and a search for ToSocketAddrs why"
    );
    // The tests themselves use it, so the look is at the right thing.
    let addresses = std::net::TcpListener::bind(("localhost", 0));
    assert!(addresses.is_ok() && mentions(&std::env::current_exe().unwrap()));
}

/// Whether the file has the symbol's name in it.
fn mentions(binary: &Path) -> bool {
    // Not as one literal: it would be found in this binary for that reason alone.
    let symbol = ["get", "addr", "info"].concat();
    std::fs::read(binary).unwrap().windows(symbol.len()).any(|bytes| bytes == symbol.as_bytes())
}
